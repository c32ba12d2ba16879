use http::HeaderMap;
use polylog_api::{CloudEvent, NewEventBody, RequestError};
use polylog_log::StreamName;

use super::{append::missing_subject, body::Kind};

/// The events of a body for one stream. A subject, where there is one, must be that stream.
pub(crate) fn of_stream(
    kind: &Kind,
    headers: &HeaderMap,
    body: &[u8],
    stream: &StreamName,
) -> Result<Vec<NewEventBody>, RequestError> {
    let events = read(kind, headers, body)?;
    for (index, event) in events.iter().enumerate() {
        if event.subject.as_deref().is_some_and(|subject| subject != stream.as_str()) {
            let message = format!("the subject must be the stream {stream} or left out");
            return Err(RequestError::invalid(format!("[{index}].subject"), message));
        }
    }
    Ok(events.into_iter().map(|event| event.event).collect())
}

/// The events of a body by their subjects, which are streams, in the order in which these come first.
pub(crate) fn by_subject(
    kind: &Kind,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<(StreamName, Vec<NewEventBody>)>, RequestError> {
    let mut streams: Vec<(StreamName, Vec<NewEventBody>)> = Vec::new();
    for (index, CloudEvent { subject, event }) in read(kind, headers, body)?.into_iter().enumerate() {
        let subject = subject.ok_or_else(|| missing_subject(index))?;
        let stream = StreamName::parse(&subject)
            .map_err(|error| RequestError::invalid(format!("[{index}].subject"), error))?;
        match streams.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, events)) => events.push(event),
            None => streams.push((stream, vec![event])),
        }
    }
    Ok(streams)
}

fn read(kind: &Kind, headers: &HeaderMap, body: &[u8]) -> Result<Vec<CloudEvent>, RequestError> {
    match kind {
        Kind::CloudEvents => CloudEvent::from_batch(body),
        Kind::Binary(content_type) => {
            let mut texts = Vec::with_capacity(headers.len());
            for (name, value) in headers {
                let is_attribute = name.as_str().starts_with("ce-");
                match std::str::from_utf8(value.as_bytes()) {
                    Ok(value) => texts.push((name.as_str(), value)),
                    Err(_) if is_attribute => {
                        return Err(RequestError::invalid(name.as_str(), "the header is not UTF-8"));
                    }
                    Err(_) => {}
                }
            }
            CloudEvent::from_binary(texts, content_type.as_deref(), body).map(|event| vec![event])
        }
        _ => CloudEvent::from_structured(body).map(|event| vec![event]),
    }
}
