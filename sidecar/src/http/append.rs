use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use polylog_api::{
    AppendBody, Code, CommitsAnswer, CommitsBody, ExpectedVersion, IdempotencyKey, Keyed, Problem,
    RequestError, StreamAppendBody, headers,
};
use polylog_log::{Acks, Commit, StreamName};

use super::{
    body::{self, Kind},
    cloud_events,
    context::{Context, bad_header, only},
    query::invalid,
    respond::{self, Answer},
    room::Place,
};
use crate::operations::{MOST_MISSED, answer, append, new_id};

/// What an append's query says.
struct Asked {
    acks: Option<Acks>,
    missed: usize,
    expected: Option<ExpectedVersion>,
}

/// A request to append, as it came.
struct Received {
    kind: Kind,
    asked: Asked,
    bytes: Bytes,
    /// What `bytes` take of the process's room.
    place: Place,
    key: Option<IdempotencyKey>,
    scope: String,
}

impl Received {
    fn keyed(&self) -> Option<Keyed<'_>> {
        self.key.as_ref().map(|key| Keyed { scope: &self.scope, key })
    }
}

/// `POST streams/{stream}`
pub(crate) async fn to_stream(mut context: Context, stream: &str, body: Body) -> Answer {
    let stream = StreamName::parse(stream)
        .map_err(|error| RequestError::from(error).within("stream"))
        .map_err(Problem::from)?;
    let received = receive(&mut context, body).await?;
    let body = match &received.kind {
        Kind::Json => AppendBody::parse(&received.bytes),
        kind => {
            let expected_version = received.asked.expected;
            cloud_events::of_stream(kind, &context.headers, &received.bytes, &stream)
                .map(|events| AppendBody { expected_version, events, category: None, aggregate_id: None })
        }
    };
    let log = context.call.hosted.store.identity().log;
    let commit = body.and_then(|body| body.into_commit(stream.clone(), log, received.keyed(), new_id));
    let (status, answer) = write(&context, received, commit).await?;
    let token = answer.token.to_string();
    let mut response = respond::json(status, &answer.into_append(stream));
    respond::set(&mut response, headers::TOKEN, &token);
    Ok(response)
}

/// `POST commits`
pub(crate) async fn commit(mut context: Context, body: Body) -> Answer {
    let received = receive(&mut context, body).await?;
    let body = match &received.kind {
        Kind::Json => CommitsBody::parse(&received.bytes),
        kind => cloud_events::by_subject(kind, &context.headers, &received.bytes).map(|streams| {
            let part = |(stream, events)| StreamAppendBody {
                stream,
                expected_version: received.asked.expected,
                events,
                category: None,
                aggregate_id: None,
            };
            CommitsBody { appends: streams.into_iter().map(part).collect() }
        }),
    };
    let log = context.call.hosted.store.identity().log;
    let commit = body.and_then(|body| body.into_commit(log, received.keyed(), new_id));
    let (status, answer) = write(&context, received, commit).await?;
    let mut response = respond::json(status, &answer);
    respond::set(&mut response, headers::TOKEN, &answer.token.to_string());
    Ok(response)
}

/// Reads what every way to append has in common.
async fn receive(context: &mut Context, body: Body) -> Result<Received, Problem> {
    let kind = body::kind(&context.headers)?;
    let asked = asked(context, &kind)?;
    let (bytes, place) = body::read(body, &context.headers, &context.call).await?;
    let key = key(context)?;
    Ok(Received { kind, asked, bytes, place, key, scope: context.call.caller.peer.subject.to_string() })
}

/// Appends what was received.
async fn write(
    context: &Context,
    received: Received,
    commit: Result<Commit, RequestError>,
) -> Result<(StatusCode, CommitsAnswer), Problem> {
    let Received { asked, bytes, place, .. } = received;
    // the commit holds copies, for which the place is kept
    drop(bytes);
    let commit = commit.map_err(Problem::from)?;
    let acknowledged = append(&context.call, commit, asked.acks, asked.missed).await?;
    drop(place);
    let (is_new, answer) = answer(&context.call.hosted, acknowledged);
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, answer))
}

fn asked(context: &mut Context, kind: &Kind) -> Result<Asked, Problem> {
    let query = &mut context.query;
    let acks = query.parsed("acks")?;
    let missed = query.number("missed", 0, MOST_MISSED)?.unwrap_or(0) as usize;
    let expected = query.parsed("expectedVersion")?;
    if expected.is_some() && *kind == Kind::Json {
        return Err(invalid("expectedVersion", "it belongs into the body; only CloudEvents name it here"));
    }
    context.finish()?;
    Ok(Asked { acks, missed, expected })
}

fn key(context: &Context) -> Result<Option<IdempotencyKey>, Problem> {
    let key = only(&context.headers, headers::IDEMPOTENCY_KEY)?;
    key.map(|key| {
        IdempotencyKey::parse(key.as_bytes())
            .map_err(|error| bad_header(headers::IDEMPOTENCY_KEY, &error.to_string()))
    })
    .transpose()
}

/// A problem for requests that name no stream where they must.
pub(crate) fn missing_subject(index: usize) -> RequestError {
    let message = "a CloudEvent appended by way of commits must name its stream as its subject";
    RequestError { code: Code::InvalidRequest, path: format!("[{index}].subject"), message: message.into() }
}
