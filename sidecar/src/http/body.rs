use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use polylog_api::{BATCH, Code, Problem, STRUCTURED};
use polylog_log::Limits;
use tokio::time::Instant;

use super::{
    context::{bad_header, only},
    room::Place,
};
use crate::{operations::Call, server::Server};

/// What the body of an append is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our own JSON.
    Json,
    /// One CloudEvent.
    CloudEvent,
    /// An array of CloudEvents.
    CloudEvents,
    /// The data of a CloudEvent whose attributes stand in headers; with its media type.
    Binary(Option<String>),
}

/// What the headers say of the body. Only media types are accepted that a web page cannot send to another origin
/// without asking first; the headers of a binary CloudEvent have the same effect.
pub(crate) fn kind(headers: &HeaderMap) -> Result<Kind, Problem> {
    if let Some(coding) =
        headers.get_all(header::CONTENT_ENCODING).iter().find(|coding| *coding != "identity")
    {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            format_args!("bodies encoded with {coding:?} are not accepted"),
        )
        .next_step("send the body as it is, without Content-Encoding"));
    }
    let value = only(headers, "content-type")?;
    let text = value.map(|value| value.to_str().map_err(|_| bad_header("content-type", "it is not text")));
    let text = text.transpose()?;
    let essence = text.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some(STRUCTURED) => Ok(Kind::CloudEvent),
        Some(BATCH) => Ok(Kind::CloudEvents),
        _ if headers.contains_key("ce-specversion") => Ok(Kind::Binary(text.map(str::to_owned))),
        Some("application/json") => Ok(Kind::Json),
        other => {
            let shown: String = other.unwrap_or("no media type").chars().take(100).collect();
            Err(Problem::new(
                Code::UnsupportedMediaType,
                format_args!("bodies with {shown} are not accepted"),
            )
            .next_step(format!("send application/json, {STRUCTURED} or {BATCH}")))
        }
    }
}

/// Most bytes of a body: escapes and base64 make it longer than what it holds.
pub(crate) fn largest(limits: Limits) -> usize {
    let commit = usize::try_from(limits.commit_bytes).unwrap_or(usize::MAX / 2);
    commit.saturating_add(commit / 5 * 2).saturating_add(64 << 10)
}

/// Reads a body into memory, keeping a place for it as long as the caller keeps the place.
pub(crate) async fn read(body: Body, headers: &HeaderMap, call: &Call) -> Result<(Bytes, Place), Problem> {
    read_up_to(largest(call.policy.limits), body, headers, &call.server, call.deadline).await
}

/// The same of so many bytes at most.
pub(crate) async fn read_up_to(
    largest: usize,
    body: Body,
    headers: &HeaderMap,
    server: &Server,
    deadline: Instant,
) -> Result<(Bytes, Place), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > largest) {
        return Err(too_large(largest));
    }
    let place = server.room().body(announced.unwrap_or(largest))?;
    let bytes = tokio::time::timeout_at(deadline, gather(body, announced.unwrap_or(0), largest))
        .await
        .map_err(|_| {
            Problem::new(Code::InvalidRequest, "the body did not arrive in time")
                .next_step("send the body without pauses")
        })??;
    Ok((bytes, place))
}

async fn gather(mut body: Body, announced: usize, largest: usize) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::with_capacity(announced.min(largest));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(Code::InvalidRequest, format_args!("the body broke off: {error}"))
                .next_step("send the request again")
        })?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > largest {
                return Err(too_large(largest));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// A body that is larger than allowed.
pub(crate) fn too_large(largest: usize) -> Problem {
    Problem::new(Code::LimitExceeded, format_args!("a body may have {largest} bytes"))
        .next_step("send less at once, or have spec.events.limits.commitBytes raised in the EventStore")
        .fact("limit", "commitBytes")
        .fact("allowed", largest)
}
