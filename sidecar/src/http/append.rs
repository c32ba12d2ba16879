use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use polylog_api::{
    AppendBody, Code, CommitsAnswer, CommitsBody, ExpectedVersion, IdempotencyKey, Keyed, Problem,
    RequestError, StreamAppendBody, headers,
};
use polylog_log::{Acks, Commit, EventId, StreamName};
use polylog_replication::Acknowledged;
use uuid::Uuid;

use super::{
    body::{self, Kind},
    cloud_events, conflicts,
    context::{Context, bad_header},
    query::invalid,
    respond::{self, Answer},
    room::Place,
};
use crate::{
    pipeline::{Incoming, check_append, intercept, require_any},
    policy::Verb,
};

/// Most missed events that a conflict shows.
const MOST_MISSED: u64 = 100;

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
    let log = context.hosted.store.identity().log;
    let commit = body.and_then(|body| body.into_commit(stream.clone(), log, received.keyed(), new_id));
    let (status, answer) = append(&context, received, commit.map_err(Problem::from)?).await?;
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
    let log = context.hosted.store.identity().log;
    let commit = body.and_then(|body| body.into_commit(log, received.keyed(), new_id));
    let (status, answer) = append(&context, received, commit.map_err(Problem::from)?).await?;
    let mut response = respond::json(status, &answer);
    respond::set(&mut response, headers::TOKEN, &answer.token.to_string());
    Ok(response)
}

/// Reads what every way to append has in common.
async fn receive(context: &mut Context, body: Body) -> Result<Received, Problem> {
    let kind = body::kind(&context.headers)?;
    let asked = asked(context, &kind)?;
    let largest = body::largest(context.policy.limits);
    let (bytes, place) =
        body::read(body, &context.headers, context.server.room(), largest, context.deadline).await?;
    let key = key(context)?;
    Ok(Received { kind, asked, bytes, place, key, scope: context.caller.subject.to_string() })
}

fn asked(context: &mut Context, kind: &Kind) -> Result<Asked, Problem> {
    let query = &mut context.query;
    let acks = query.parsed("acks")?;
    let missed = query.number("missed", 0, MOST_MISSED)?.unwrap_or(0) as usize;
    let expected = query.parsed("expectedVersion")?;
    if expected.is_some() && *kind == Kind::Json {
        return Err(invalid("expectedVersion", "it belongs into the body; only CloudEvents name it here"));
    }
    std::mem::replace(query, super::query::Query::parse(None)?).finish()?;
    Ok(Asked { acks, missed, expected })
}

fn key(context: &Context) -> Result<Option<IdempotencyKey>, Problem> {
    let key = context.headers.get(headers::IDEMPOTENCY_KEY);
    key.map(|key| {
        IdempotencyKey::parse(key.as_bytes())
            .map_err(|error| bad_header(headers::IDEMPOTENCY_KEY, &error.to_string()))
    })
    .transpose()
}

fn new_id() -> EventId {
    EventId::new(Uuid::now_v7())
}

/// Runs a commit through the interceptors and into the log.
async fn append(
    context: &Context,
    received: Received,
    mut commit: Commit,
) -> Result<(StatusCode, CommitsAnswer), Problem> {
    let Received { asked, bytes, place, .. } = received;
    // the commit holds copies, for which the place is kept
    drop(bytes);
    let Context { hosted, policy, caller, server, deadline, .. } = context;
    check_access(context, &mut commit).await?;
    let incoming = Incoming { policy, caller, source_limits: hosted.source_limits() };
    for violation in intercept(&incoming, &mut commit)? {
        server.metrics.schema_warning(&hosted.name);
        let crate::policy::Violation { event_type, pointer, keyword } = violation;
        tracing::warn!(store = hosted.name, event_type, pointer, keyword, "data breaks its schema");
    }
    let begin = std::time::Instant::now();
    let outcome = hosted.store.append(commit, asked.acks, deadline.into_std()).await;
    server.metrics.appended(&hosted.name, begin.elapsed(), &outcome);
    drop(place);
    match outcome {
        Ok(acknowledged) => Ok(answer(context, acknowledged)),
        Err(error) => Err(conflicts::complete(context, error, asked.missed).await),
    }
}

/// Refuses an append to a category that the caller may not append to. A stream's category is what its first append
/// said, so it is looked up where not all are allowed, and named in the commit, so that it cannot turn out another one.
async fn check_access(context: &Context, commit: &mut Commit) -> Result<(), Problem> {
    let Context { hosted, policy, caller, .. } = context;
    let scope = require_any(policy, &caller.subject, Verb::Append)?;
    if scope.is_all() {
        return Ok(());
    }
    for append in &mut commit.appends {
        let read = hosted.store.stream_head(&append.stream, &Default::default()).await;
        let recorded = read.map_err(super::errors::of_read)?.stream.map(|head| head.category);
        let named = append.category.clone().unwrap_or_else(|| append.stream.default_category());
        let category = recorded.unwrap_or(named);
        check_append(&scope, &caller.subject, &category)?;
        append.category.get_or_insert(category);
    }
    Ok(())
}

fn answer(context: &Context, acknowledged: Acknowledged) -> (StatusCode, CommitsAnswer) {
    let Acknowledged { receipt, point, acked_by, repeated } = acknowledged;
    let is_new = receipt.is_some() && !repeated;
    let answer = CommitsAnswer {
        results: receipt.into_iter().flat_map(|receipt| receipt.streams).map(Into::into).collect(),
        term: point.term,
        acks: acked_by,
        repeated,
        token: context.hosted.token_at(point),
    };
    (if is_new { StatusCode::CREATED } else { StatusCode::OK }, answer)
}

/// A problem for requests that name no stream where they must.
pub(crate) fn missing_subject(index: usize) -> RequestError {
    let message = "a CloudEvent appended by way of commits must name its stream as its subject";
    RequestError { code: Code::InvalidRequest, path: format!("[{index}].subject"), message: message.into() }
}
