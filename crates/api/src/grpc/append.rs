use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Commit, EventId, EventType, Expected, JSON, LogId, NewEvent, StreamName,
};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use uuid::Uuid;

use super::{named_as_here, time};
use crate::{
    CommitsAnswer, ExpectedVersion, RequestError,
    commit::{self, EventDraft, EventParts, Keyed, MOST_EVENTS, StreamDraft},
    is_json, json,
    proto::polylog::v1,
};

/// The commit of a request's parts, with identity and fingerprint of what the caller sent; the same as that of an append
/// over HTTP with the same content. See [`CommitsBody::into_commit`](crate::CommitsBody::into_commit).
pub fn commit(
    appends: Vec<v1::StreamAppend>,
    log: LogId,
    key: Option<Keyed<'_>>,
    new_id: impl FnMut() -> EventId,
) -> Result<Commit, RequestError> {
    let mut drafts = Vec::with_capacity(appends.len());
    for (index, append) in appends.into_iter().enumerate() {
        drafts.push(stream_draft(append).map_err(|error| error.within(&format!("appends[{index}]")))?);
    }
    commit::of_streams(drafts, log, key, new_id).map_err(named_as_here)
}

/// Refuses a request with more events or streams than any commit may have, before it is decoded: a field of two bytes
/// becomes a structure of hundreds.
pub fn check_size(request: &[u8]) -> Result<(), RequestError> {
    let mut left = MOST_EVENTS;
    let counted = each_part(request, APPENDS, &mut |append| {
        let mut events = 0;
        each_part(append, EVENTS, &mut |_| {
            events += 1;
            Ok(())
        })?;
        left = left.checked_sub(events.max(1)).ok_or(Uncounted::TooMany)?;
        Ok(())
    });
    match counted {
        Err(Uncounted::TooMany) => Err(RequestError::invalid(
            "appends",
            format_args!("no commit may have more than {MOST_EVENTS} events"),
        )),
        // the decoder says it better
        Ok(()) | Err(Uncounted::Malformed) => Ok(()),
    }
}

/// Number of the field in `AppendRequest`.
const APPENDS: u32 = 2;
/// Number of the field in `StreamAppend`.
const EVENTS: u32 = 3;

enum Uncounted {
    TooMany,
    Malformed,
}

/// Calls `each` for every part of a message that stands under this number.
fn each_part(
    mut message: &[u8],
    number: u32,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Uncounted>,
) -> Result<(), Uncounted> {
    while !message.is_empty() {
        let (found, kind) = decode_key(&mut message).map_err(|_| Uncounted::Malformed)?;
        if found != number || kind != WireType::LengthDelimited {
            skip_field(kind, found, &mut message, DecodeContext::default())
                .map_err(|_| Uncounted::Malformed)?;
            continue;
        }
        let length = decode_varint(&mut message).map_err(|_| Uncounted::Malformed)?;
        let length = usize::try_from(length).map_err(|_| Uncounted::Malformed)?;
        let (part, rest) = message.split_at_checked(length).ok_or(Uncounted::Malformed)?;
        each(part)?;
        message = rest;
    }
    Ok(())
}

fn stream_draft(append: v1::StreamAppend) -> Result<StreamDraft<Draft>, RequestError> {
    let v1::StreamAppend { stream, expected: given, events, category, aggregate_id } = append;
    let within = |name: &'static str| move |error| RequestError::from(error).within(name);
    let stream = StreamName::parse(&stream).map_err(within("stream"))?;
    let category = given_text(&category).map(Category::parse).transpose().map_err(within("category"))?;
    let aggregate_id =
        given_text(&aggregate_id).map(AggregateId::parse).transpose().map_err(within("aggregate_id"))?;
    let mut drafts = Vec::with_capacity(events.len());
    for (index, event) in events.into_iter().enumerate() {
        drafts.push(Draft::new(event).map_err(|error| error.within(&format!("events[{index}]")))?);
    }
    let expected =
        given.map(|given| expected(&given)).transpose().map_err(|error| error.within("expected"))?.flatten();
    Ok(StreamDraft { stream, expected, events: drafts, category, aggregate_id })
}

/// What is expected of a stream; `None` = not said.
pub fn expected(given: &v1::Expected) -> Result<Option<ExpectedVersion>, RequestError> {
    use v1::expected::Kind;
    let word = |expected| Ok(Some(ExpectedVersion(expected)));
    match &given.kind {
        None => Ok(None),
        Some(Kind::Version(number)) => {
            let read = ExpectedVersion::number(*number);
            read.map(Some).map_err(|error| RequestError::invalid("version", error))
        }
        Some(Kind::Any(true)) => word(Expected::Any),
        Some(Kind::NoStream(true)) => word(Expected::NoStream),
        Some(Kind::Exists(true)) => word(Expected::Exists),
        Some(Kind::Any(false) | Kind::NoStream(false) | Kind::Exists(false)) => {
            Err(RequestError::invalid("", "any, no_stream and exists can only be set to true"))
        }
    }
}

/// What is expected of a stream, as messages have it.
pub(super) fn from_expected(expected: ExpectedVersion) -> v1::Expected {
    use v1::expected::Kind;
    let kind = match expected.0 {
        Expected::Any => Kind::Any(true),
        Expected::NoStream => Kind::NoStream(true),
        Expected::Exists => Kind::Exists(true),
        Expected::Version(version) => Kind::Version(version.get()),
    };
    v1::Expected { kind: Some(kind) }
}

fn given_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// An event as a message has it, with its names checked.
struct Draft {
    id: Option<EventId>,
    data: Bytes,
    parts: EventParts,
}

impl Draft {
    fn new(event: v1::NewEvent) -> Result<Self, RequestError> {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let parse_id = |id: &str| Uuid::try_parse(id).map(EventId::new);
        let id = given_text(&event.id).map(parse_id).transpose();
        let id = id.map_err(|error| RequestError::invalid("id", format_args!("not a UUID: {error}")))?;
        let event_type = EventType::parse(&event.r#type);
        let event_type = event_type.map_err(|error| RequestError::from(error).within("type"))?;
        let time = event.time.as_ref().map(time).transpose();
        let parts = EventParts {
            event_type,
            content_type: some(event.content_type),
            metadata: (!event.metadata.is_empty()).then_some(event.metadata),
            correlation_id: some(event.correlation_id),
            causation_id: some(event.causation_id),
            time: time.map_err(|reason| RequestError::invalid("time", reason))?,
        };
        Ok(Self { id, data: event.data, parts })
    }
}

impl EventDraft for Draft {
    fn id(&self) -> Option<EventId> {
        self.id
    }

    fn into_event(self, id: EventId) -> Result<NewEvent, RequestError> {
        let Self { data, parts, .. } = self;
        parts.into_event(id, |content_type| {
            let content_type = content_type.unwrap_or_else(|| JSON.into());
            if !is_json(&content_type) {
                return Ok((data, content_type));
            }
            if data.is_empty() {
                return Ok((Bytes::from_static(b"null"), content_type));
            }
            json::check(&data).map_err(|error| {
                RequestError::invalid("data", format_args!("{content_type} is not JSON: {error}"))
            })?;
            Ok((data, content_type))
        })
    }
}

/// The answer to an append.
pub fn append_response(answer: CommitsAnswer) -> v1::AppendResponse {
    let result = |result: crate::StreamResult| v1::StreamResult {
        stream: result.stream.as_str().to_owned(),
        first_version: result.first_version.get(),
        last_version: result.last_version.get(),
        first_position: result.first_position.get(),
        last_position: result.last_position.get(),
    };
    v1::AppendResponse {
        results: answer.results.into_iter().map(result).collect(),
        term: answer.term.get(),
        acked_by: answer.acks.iter().map(|source| source.as_str().to_owned()).collect(),
        repeated_request: answer.repeated,
        token: answer.token.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use polylog_log::Version;

    use super::*;
    use crate::{Code, CommitsBody};

    fn log() -> LogId {
        LogId::from_bytes([7; 16])
    }

    fn new_event(data: &'static str) -> v1::NewEvent {
        v1::NewEvent {
            id: "00000000-0000-4000-8000-000000000001".into(),
            r#type: "Paid".into(),
            data: Bytes::from_static(data.as_bytes()),
            ..Default::default()
        }
    }

    fn append(kind: Option<v1::expected::Kind>, events: Vec<v1::NewEvent>) -> v1::StreamAppend {
        let expected = kind.map(|kind| v1::Expected { kind: Some(kind) });
        v1::StreamAppend { stream: "Payment-p1".into(), expected, events, ..Default::default() }
    }

    fn read(appends: Vec<v1::StreamAppend>) -> Result<Commit, RequestError> {
        commit(appends, log(), None, || EventId::from_bytes([9; 16]))
    }

    #[test]
    fn the_same_content_is_the_same_commit_as_over_http() {
        use v1::expected::Kind;
        let mut event = new_event(r#"{"amount":"1"}"#);
        event.metadata = Bytes::from_static(br#"{"a":1}"#);
        event.correlation_id = "c".into();
        event.time = Some(prost_types::Timestamp { seconds: 1_795_255_200, nanos: 0 });
        let here = read(vec![append(Some(Kind::Version(3)), vec![event])]).expect("a commit");
        let body = br#"{"appends":[{"stream":"Payment-p1","expectedVersion":3,"events":[{
            "id":"00000000-0000-4000-8000-000000000001","type":"Paid","data":{"amount":"1"},
            "metadata":{"a":1},"correlationId":"c","time":"2026-11-21T10:00:00Z"}]}]}"#;
        let there = CommitsBody::parse(body).expect("a body").into_commit(log(), None, || unreachable!());
        assert_eq!(here, there.expect("a commit"));
    }

    #[test]
    fn every_expected_version_is_read_and_none_is_refused() {
        use v1::expected::Kind;
        for (kind, expected) in [
            (Kind::Version(0), Expected::NoStream),
            (Kind::Version(3), Expected::Version(Version::new(3))),
            (Kind::Any(true), Expected::Any),
            (Kind::NoStream(true), Expected::NoStream),
            (Kind::Exists(true), Expected::Exists),
        ] {
            let commit = read(vec![append(Some(kind), vec![])]).expect("a commit");
            assert_eq!(commit.appends[0].expected, expected);
            assert_eq!(
                super::expected(&from_expected(ExpectedVersion(expected))).expect("reads back"),
                Some(ExpectedVersion(expected))
            );
        }
        let unset = read(vec![append(None, vec![])]).expect_err("not said");
        assert_eq!((unset.code, &*unset.path), (Code::ExpectedVersionRequired, "appends[0].expected"));
        for kind in [Kind::Any(false), Kind::NoStream(false), Kind::Exists(false), Kind::Version(1 << 53)] {
            let error = read(vec![append(Some(kind), vec![])]).expect_err("means nothing");
            assert_eq!(error.code, Code::InvalidRequest);
            assert!(error.path.starts_with("appends[0].expected"), "{}", error.path);
        }
    }

    #[test]
    fn what_is_wrong_is_named_as_the_message_has_it() {
        use v1::expected::Kind;
        let path = |change: fn(&mut v1::StreamAppend)| {
            let mut part = append(Some(Kind::Any(true)), vec![new_event("1")]);
            change(&mut part);
            read(vec![part]).expect_err("refused").path
        };
        assert_eq!(path(|part| part.stream = "$own".into()), "appends[0].stream");
        assert_eq!(path(|part| part.aggregate_id = "\n".into()), "appends[0].aggregate_id");
        assert_eq!(path(|part| part.events[0].id = "x".into()), "appends[0].events[0].id");
        assert_eq!(path(|part| part.events[0].r#type = String::new()), "appends[0].events[0].type");
        assert_eq!(path(|part| part.events[0].data = "{".into()), "appends[0].events[0].data");
        assert_eq!(path(|part| part.events[0].metadata = "[]".into()), "appends[0].events[0].metadata");
        assert_eq!(
            path(|part| part.events[0].correlation_id = "\u{1}".into()),
            "appends[0].events[0].correlation_id"
        );
        assert_eq!(
            path(|part| part.events[0].time = Some(prost_types::Timestamp { seconds: 0, nanos: -1 })),
            "appends[0].events[0].time"
        );
        assert_eq!(read(vec![]).expect_err("empty").path, "appends");
        let any = |events| append(Some(Kind::Any(true)), events);
        let stream_twice = read(vec![any(vec![]), any(vec![])]).expect_err("one stream");
        assert_eq!(stream_twice.path, "appends[1].stream");
        let id_twice = read(vec![any(vec![new_event("1"), new_event("2")])]).expect_err("one id");
        assert!(id_twice.message.contains("stands in this commit twice"), "{}", id_twice.message);
    }

    #[test]
    fn data_is_checked_only_where_it_is_json() {
        use v1::expected::Kind;
        let data = |content_type: &str, data: &'static [u8]| {
            let event = v1::NewEvent {
                content_type: content_type.into(),
                data: Bytes::from_static(data),
                ..new_event("")
            };
            read(vec![append(Some(Kind::Any(true)), vec![event])]).map(|mut commit| {
                let event = commit.appends.remove(0).events.remove(0);
                (event.content_type, event.data)
            })
        };
        let good =
            |content_type: &str, bytes: &'static [u8]| (content_type.to_owned(), Bytes::from_static(bytes));
        assert_eq!(data("", b"").expect("null"), good("application/json", b"null"));
        assert_eq!(data("", b" 1e400 ").expect("verbatim"), good("application/json", b" 1e400 "));
        assert_eq!(data("image/png", b"\xff").expect("bytes"), good("image/png", b"\xff"));
        assert_eq!(data("image/png", b"").expect("no bytes"), good("image/png", b""));
        assert!(data("a/b+json", b"\"\xff\"").is_err());
    }
}
