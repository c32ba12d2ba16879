//! Calls to stores that are reached through their gateway.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, header};
use polylog_api::{Code, Problem, grpc::detail_of, proto::polylog::v1};
use prost::Message;
use uuid::Uuid;

use super::{answer, message::Incoming, method::Method};
use crate::{
    forward::{Attempts, Doubt, Ending, Forward, Identity, Lane, Sent, answer_body, of_message},
    http::Place,
};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Metadata that the gateway is told by this process, or that is about one connection.
const NOT_HANDED_ON: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    header::TE,
    TIMEOUT,
];

/// The first field of every request to a store.
#[derive(Clone, PartialEq, Message)]
struct OfStore {
    #[prost(string, tag = "1")]
    store: String,
}

/// The same, of an append that is known again.
#[derive(Clone, PartialEq, Message)]
struct Known {
    #[prost(string, tag = "1")]
    store: String,
    #[prost(string, tag = "3")]
    idempotency_key: String,
}

/// The gateway that a call is for, with the call's message; `None` = the call is for this process.
pub(super) async fn gateway(
    incoming: &mut Incoming,
    method: Method,
) -> Result<Option<(Arc<Forward>, Bytes, Place)>, Problem> {
    if !method.is_of_store() || !incoming.server.forwards() {
        return Ok(None);
    }
    let largest = incoming.server.largest_message();
    let Some((message, place)) = incoming.peek(largest).await? else { return Ok(None) };
    // what cannot be read is refused here, in the words of every other call
    let Ok(OfStore { store }) = OfStore::decode(&*message) else { return Ok(None) };
    let name = Some(store.as_str()).filter(|name| !name.is_empty());
    let Some(forward) = incoming.server.forwarded(name) else { return Ok(None) };
    incoming.end_after(&message).await?;
    Ok(Some((forward, message, place)))
}

/// Hands the call on and its answer back.
pub(super) async fn call(
    incoming: Incoming,
    method: Method,
    path: &str,
    (forward, message, place): (Arc<Forward>, Bytes, Place),
) -> Result<Response, Problem> {
    let deadline = incoming.deadline()?;
    // what has arrived was taken, and nothing else comes
    let Incoming { server, mut headers, .. } = incoming;
    let identity = match method {
        Method::Append => of_message(&decode(&message)?),
        _ => Identity::Given,
    };
    let doubt = match method {
        Method::Append => identity.doubt(),
        // a version says which change is meant: the second of two is refused
        Method::PutConfig | Method::PutPolicy | Method::Switch | Method::Failover => Doubt::Stays,
        _ => Doubt::Never,
    };
    let key = (identity == Identity::Missing).then(|| Uuid::new_v4().to_string());
    let known = Known { store: forward.target().store().into(), idempotency_key: key.unwrap_or_default() };
    // of a field that comes twice the last one counts
    let added = known.encode_to_vec();
    let length = message.len() + added.len();
    let mut framed = BytesMut::with_capacity(length + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("messages are smaller than 4 GiB by their limits"));
    framed.extend_from_slice(&message);
    framed.extend_from_slice(&added);
    drop(message);
    for name in NOT_HANDED_ON {
        headers.remove(name);
    }
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let mut request = forward.request(HttpMethod::POST, path, headers, framed.freeze())?;
    let is_stream = matches!(method, Method::Subscribe | Method::ReadStream | Method::ReadLog);
    let (lane, places) = if is_stream {
        (Lane::Streams, Some((server.room().stream()?, forward.stream()?)))
    } else {
        (Lane::Calls, None)
    };
    let mut attempts = Attempts::new(&forward, lane, deadline, doubt);
    let answer = loop {
        hurry(&mut request, attempts.left());
        let Sent::Answered(answer) = attempts.send(&request).await? else { continue };
        let Some(problem) = refusal(answer.headers()) else {
            if lane == Lane::Streams {
                break answer;
            }
            // what breaks off is not answered
            let (parts, body) = answer.into_parts();
            let Some(whole) = attempts.whole(body).await? else { continue };
            return Ok(Response::from_parts(parts, Body::new(whole)));
        };
        let code = problem.code;
        match attempts.refused(problem).await {
            Ok(()) => {}
            // as it was answered, with all that it says
            Err(told) if told.code == code => break answer,
            Err(told) => return Err(told),
        }
    };
    drop(request);
    let until = match method {
        Method::Subscribe => Some((server.drain.clone(), attempts.ends)),
        _ => None,
    };
    drop(place);
    let (parts, body) = answer.into_parts();
    let body = answer_body(forward, body, Ending::Messages(answer::failed), until, places);
    Ok(Response::from_parts(parts, body))
}

fn decode(message: &[u8]) -> Result<v1::AppendRequest, Problem> {
    v1::AppendRequest::decode(message).map_err(|error| {
        Problem::new(Code::InvalidRequest, format_args!("the call is malformed: {error}"))
            .next_step("correct the message and call again")
    })
}

/// Tells the gateway how long it has; a tenth is left for the way.
fn hurry<B>(request: &mut http::Request<B>, left: Duration) {
    let value = format!("{}m", left.mul_f64(0.9).as_millis().max(1));
    if let Ok(value) = HeaderValue::try_from(value) {
        request.headers_mut().insert(TIMEOUT, value);
    }
}

/// What a call is refused with, where that comes before anything else.
fn refusal(headers: &HeaderMap) -> Option<Problem> {
    if headers.get("grpc-status")?.as_bytes() == b"0" {
        return None;
    }
    let details = headers.get("grpc-status-details-bin").map(HeaderValue::as_bytes).unwrap_or_default();
    let detail = STANDARD_NO_PAD.decode(details).ok().and_then(|details| detail_of(&details));
    let detail = detail.unwrap_or_default();
    // of another program, perhaps: then nothing is known of it
    let code = Code::ALL.iter().find(|code| code.text() == detail.code).copied().unwrap_or(Code::Internal);
    let mut problem = Problem::new(code, detail.message).next_step(detail.next_step);
    problem.retry = detail.retry;
    Some(problem)
}
