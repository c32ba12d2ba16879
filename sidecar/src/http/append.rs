use axum::body::Body;
use http::StatusCode;
use polylog_api::{
    AppendBody, Code, CommitsBody, ExpectedVersion, IdempotencyKey, Keyed, Problem, RequestError,
    StreamAppendBody, headers,
};
use polylog_log::{Acks, StreamName};

use super::{
    body::{self, Kind},
    cloud_events,
    context::{Context, bad_header},
    query::invalid,
    respond::{self, Answer},
};
use crate::operations::{MOST_MISSED, answer, append, new_id};

/// What an append's query says.
struct Asked {
    acks: Option<Acks>,
    missed: usize,
    expected: Option<ExpectedVersion>,
}

/// `POST streams/{stream}`
pub(crate) async fn to_stream(mut context: Context, stream: &str, body: Body) -> Answer {
    let stream = StreamName::parse(stream)
        .map_err(|error| RequestError::from(error).within("stream"))
        .map_err(Problem::from)?;
    let kind = body::kind(&context.headers)?;
    let asked = asked(&mut context, &kind)?;
    let (bytes, place) = body::read(body, &context.headers, &context.call).await?;
    let key = key(&context)?;
    let scope = context.call.caller.subject.to_string();
    let keyed = key.as_ref().map(|key| Keyed { scope: &scope, key });
    let log = context.call.hosted.store.identity().log;
    let commit = match kind {
        Kind::Json => {
            let body = AppendBody::parse(&bytes).map_err(Problem::from)?;
            body.into_commit(stream.clone(), log, keyed, new_id)
        }
        kind => {
            let events =
                cloud_events::of_stream(&kind, &context.headers, &bytes, &stream).map_err(Problem::from)?;
            let body =
                AppendBody { expected_version: asked.expected, events, category: None, aggregate_id: None };
            body.into_commit(stream.clone(), log, keyed, new_id)
        }
    };
    drop(bytes);
    let commit = commit.map_err(Problem::from)?;
    let acknowledged = append(&context.call, commit, asked.acks, asked.missed).await?;
    drop(place);
    let (is_new, answer) = answer(&context.call.hosted, acknowledged);
    let token = answer.token.to_string();
    let mut response = respond::json(status(is_new), &answer.into_append(stream));
    respond::set(&mut response, headers::TOKEN, &token);
    Ok(response)
}

/// `POST commits`
pub(crate) async fn commit(mut context: Context, body: Body) -> Answer {
    let kind = body::kind(&context.headers)?;
    let asked = asked(&mut context, &kind)?;
    let (bytes, place) = body::read(body, &context.headers, &context.call).await?;
    let key = key(&context)?;
    let scope = context.call.caller.subject.to_string();
    let keyed = key.as_ref().map(|key| Keyed { scope: &scope, key });
    let log = context.call.hosted.store.identity().log;
    let body = match kind {
        Kind::Json => CommitsBody::parse(&bytes).map_err(Problem::from)?,
        kind => {
            let streams = cloud_events::by_subject(&kind, &context.headers, &bytes).map_err(Problem::from)?;
            let part = |(stream, events)| StreamAppendBody {
                stream,
                expected_version: asked.expected,
                events,
                category: None,
                aggregate_id: None,
            };
            CommitsBody { appends: streams.into_iter().map(part).collect() }
        }
    };
    drop(bytes);
    let commit = body.into_commit(log, keyed, new_id).map_err(Problem::from)?;
    let acknowledged = append(&context.call, commit, asked.acks, asked.missed).await?;
    drop(place);
    let (is_new, answer) = answer(&context.call.hosted, acknowledged);
    let mut response = respond::json(status(is_new), &answer);
    respond::set(&mut response, headers::TOKEN, &answer.token.to_string());
    Ok(response)
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
    let key = context.headers.get(headers::IDEMPOTENCY_KEY);
    key.map(|key| {
        IdempotencyKey::parse(key.as_bytes())
            .map_err(|error| bad_header(headers::IDEMPOTENCY_KEY, &error.to_string()))
    })
    .transpose()
}

fn status(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

/// A problem for requests that name no stream where they must.
pub(crate) fn missing_subject(index: usize) -> RequestError {
    let message = "a CloudEvent appended by way of commits must name its stream as its subject";
    RequestError { code: Code::InvalidRequest, path: format!("[{index}].subject"), message: message.into() }
}
