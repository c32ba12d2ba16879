//! Requests to stores that are reached through their gateway.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use polylog_api::{Problem, format_duration, headers};
use tokio::time::Instant;
use uuid::Uuid;

use super::{body, context::timeout, respond::Answer, route::StoreResource, server_sent};
use crate::{
    forward::{self, Attempts, Doubt, Ending, Forward, Identity, Lane, Places, Sent},
    server::Server,
};

/// Headers that are about one connection, or that the gateway is told by this process.
const NOT_HANDED_ON: [HeaderName; 11] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    // who may call from a web page was looked at already
    header::ORIGIN,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Hands a request on and its answer back.
pub(super) async fn request(
    server: &Arc<Server>,
    forward: Arc<Forward>,
    names_store: bool,
    resource: &StoreResource,
    parts: Parts,
    body: Body,
) -> Answer {
    let deadline = Instant::now() + timeout(&parts.headers)?;
    let writes = parts.method == Method::POST;
    let (bytes, place) = if writes {
        let read = body::read_up_to(forward.largest, body, &parts.headers, server, deadline).await?;
        (read.0, Some(read.1))
    } else {
        (Bytes::new(), None)
    };
    let (lane, places) = if is_stream(resource, &parts.headers) {
        (Lane::Streams, Some((server.room().stream()?, forward.stream()?)))
    } else {
        (Lane::Calls, None)
    };
    let mut given = handed_on(&parts.headers);
    let doubt = if writes { identify(resource, &mut given, &bytes) } else { Doubt::Never };
    let path = path(&forward, names_store, &parts);
    let mut request = forward.request(parts.method, &path, given, bytes)?;
    let mut attempts = Attempts::new(&forward, lane, deadline, doubt);
    let (answer, ends) = loop {
        hurry(request.headers_mut(), attempts.left());
        let Sent::Answered(answer) = attempts.send(&request).await? else { continue };
        if !needs_a_look(answer.status(), attempts.is_in_doubt()) {
            if lane == Lane::Streams {
                break (answer, attempts.ends);
            }
            // what breaks off is not answered
            let (parts, body) = answer.into_parts();
            let Some(whole) = attempts.whole(body).await? else { continue };
            return Ok(Response::from_parts(parts, Body::new(whole)));
        }
        match look(&mut attempts, answer).await? {
            Some(answer) => return Ok(answer),
            None => continue,
        }
    };
    drop((request, place));
    Ok(back(server, &forward, answer, ends, places))
}

fn handed_on(given: &HeaderMap) -> HeaderMap {
    let mut headers = given.clone();
    for name in NOT_HANDED_ON {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    headers
}

/// The same path below the store, as its gateway calls it.
fn path(forward: &Forward, names_store: bool, parts: &Parts) -> String {
    let raw = parts.uri.path();
    let rest = if names_store {
        raw.strip_prefix("/v1/stores/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest)
    } else {
        raw.strip_prefix("/v1/")
    };
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("/v1/stores/{}/{}{query}", forward.target().store(), rest.unwrap_or_default())
}

/// Sees to it that the append is known again when it is sent again.
fn identify(resource: &StoreResource, given: &mut HeaderMap, body: &[u8]) -> Doubt {
    let is_commit = matches!(resource, StoreResource::Commits);
    let kind = body::kind(given).ok();
    let identity = forward::of_body(is_commit, kind.as_ref(), given, body);
    if identity == Identity::Missing
        && let Ok(key) = HeaderValue::try_from(Uuid::new_v4().to_string())
    {
        given.insert(headers::IDEMPOTENCY_KEY, key);
    }
    identity.doubt()
}

/// Tells the gateway how long it has; a tenth is left for the way.
fn hurry(given: &mut HeaderMap, left: Duration) {
    if let Ok(value) = HeaderValue::try_from(format_duration(left.mul_f64(0.9).max(Duration::from_millis(1))))
    {
        given.insert(headers::TIMEOUT, value);
    }
}

/// Whether it may be an answer that another try does not get.
fn needs_a_look(status: StatusCode, is_in_doubt: bool) -> bool {
    !status.is_success()
        && (is_in_doubt || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE))
}

/// The refusal to hand on; `None` = another try.
async fn look(
    attempts: &mut Attempts<'_>,
    answer: http::Response<Incoming>,
) -> Result<Option<Response>, Problem> {
    let (parts, body) = answer.into_parts();
    let Some(whole) = attempts.whole(body).await? else { return Ok(None) };
    let whole = whole.to_bytes();
    let Ok(problem) = serde_json::from_slice::<Problem>(&whole) else {
        return attempts.cut(&format!("it answered {}", parts.status)).await.map(|()| None);
    };
    let code = problem.code;
    match attempts.refused(problem).await {
        Ok(()) => Ok(None),
        // as it was answered, with all headers
        Err(told) if told.code == code => Ok(Some(Response::from_parts(parts, Body::from(whole)))),
        Err(told) => Err(told),
    }
}

fn back(
    server: &Arc<Server>,
    forward: &Arc<Forward>,
    answer: http::Response<Incoming>,
    ends: Option<std::time::SystemTime>,
    places: Places,
) -> Response {
    let (parts, body) = answer.into_parts();
    let given = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_subscription = given.is_some_and(|given| given.starts_with(headers::EVENT_STREAM));
    let ending = if is_subscription { Ending::ServerSent(last_event) } else { Ending::Cut };
    let until = is_subscription.then(|| (server.drain.clone(), ends));
    let body = forward::answer_body(forward.clone(), body, ending, until, places);
    Response::from_parts(parts, body)
}

/// Whether the answer may go on for long.
fn is_stream(resource: &StoreResource, given: &HeaderMap) -> bool {
    let accepts = given.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    matches!(resource, StoreResource::Subscribe)
        || accepts.into_iter().any(|accept| accept.contains(headers::NDJSON))
}

fn last_event(problem: &Problem) -> Bytes {
    server_sent::problem_frame(problem).into()
}
