//! The gRPC server, on the port of HTTP: methods, messages, answers and streams. What a method does is in `operations`.
//!
//! The framing is our own, since a message's memory must be accounted for before it is read, and events are written
//! without a copy in between; see `docs/decisions/010-grpc-framing.md`.

mod admin;
mod answer;
mod append;
mod event;
mod fields;
mod forward;
mod health;
mod message;
mod method;
mod read;
mod reflection;
mod search;
mod store;
mod subscribe;

use std::{sync::Arc, time::Instant};

use axum::{body::Body, response::Response};
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use http::{HeaderValue, Method as HttpMethod, Request, Version, header};
use polylog_api::{Code, Problem};

use self::{message::Incoming, method::Method};
use crate::{entrance::admit, http::Place, operations::errors, server::Server, traces::RequestSpan};

/// Whether a request is a gRPC call: whatever else comes is for HTTP to answer.
pub(crate) fn is_call(request: &Request<Body>) -> bool {
    let is_grpc = |value: &HeaderValue| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(essence.trim_ascii(), b"application/grpc" | b"application/grpc+proto")
    };
    request.version() == Version::HTTP_2
        && *request.method() == HttpMethod::POST
        && request.headers().get(header::CONTENT_TYPE).is_some_and(is_grpc)
}

/// Answers one call; every failure becomes a status with a code.
pub(crate) async fn handle(server: Arc<Server>, request: Request<Body>) -> Response {
    let begin = Instant::now();
    let span = RequestSpan::grpc(request.headers());
    let (operation, outcome) = span.around(dispatch(server.clone(), request)).await;
    let is_failure = outcome.as_ref().is_err_and(|problem| problem.status >= 500);
    let (code, response) = match outcome {
        Ok(response) => ("ok", response),
        Err(problem) => {
            if problem.code == Code::Internal {
                let detail = &problem.detail;
                tracing::error!(event = "request_failed", operation, %detail, "a call failed for an unforeseen reason");
            }
            (problem.code.text(), answer::failure(&problem))
        }
    };
    span.grpc_answered(operation, code, is_failure);
    server.metrics.called(operation, code, begin.elapsed());
    tracing::debug!(operation, code, "answered");
    response
}

async fn dispatch(server: Arc<Server>, request: Request<Body>) -> (&'static str, Result<Response, Problem>) {
    let peer = match admit(&server, &request) {
        Ok(peer) => peer,
        Err(problem) => return ("refused", Err(problem)),
    };
    let Some(method) = Method::find(request.uri().path()) else {
        return ("refused", Err(no_such_method(request.uri().path())));
    };
    let operation = method.operation();
    let place = match enter(&server, method) {
        Ok(place) => place,
        Err(problem) => return (operation, Err(problem)),
    };
    let (parts, body) = request.into_parts();
    let mut call = Incoming::new(server, peer, parts.headers, body);
    match forward::gateway(&mut call, method).await {
        Ok(None) => {}
        Ok(Some(to)) => {
            let outcome = forward::call(call, method, parts.uri.path(), to).boxed().await;
            return (operation, outcome);
        }
        Err(problem) => return (operation, Err(problem)),
    }
    // each in its own size, on the heap: in one, every call would be as large as the largest, and is moved several times
    let answering: BoxFuture<'_, Result<Response, Problem>> = match method {
        Method::Append => append::append(call).boxed(),
        Method::ReadStream => read::stream(call).boxed(),
        Method::ReadLog => read::log(call).boxed(),
        Method::GetEvent => event::get(call).boxed(),
        Method::GetStreamHead => event::stream_head(call).boxed(),
        Method::LocateEvent => event::locate(call).boxed(),
        Method::Subscribe => subscribe::subscribe(call).boxed(),
        Method::Search => search::search(call).boxed(),
        Method::Statistics => search::statistics(call).boxed(),
        Method::ListStores => store::list(call).boxed(),
        Method::GetStore => store::get(call).boxed(),
        Method::WatchStore => store::watch(call).boxed(),
        Method::GetStatus => admin::get_status(call).boxed(),
        Method::PutConfig => admin::put_config(call).boxed(),
        Method::PutPolicy => admin::put_policy(call).boxed(),
        Method::Verify => admin::verify(call).boxed(),
        Method::Switch => admin::switch(call).boxed(),
        Method::Failover => admin::failover(call).boxed(),
        Method::ListQuarantine => admin::list_quarantine(call).boxed(),
        Method::Plan => admin::plan(call).boxed(),
        Method::CheckHealth => health::check(call).boxed(),
        Method::WatchHealth => health::watch(call).boxed(),
        Method::Reflect => ready(reflection::answer(call)).boxed(),
        Method::Later(name) => {
            let problem = Problem::new(Code::NotSupported, format_args!("{name} is not in this version"))
                .next_step("see reflection, or the book, for what this version can do");
            ready(Err(problem)).boxed()
        }
    };
    let outcome = answering.await;
    drop(place);
    (operation, outcome)
}

/// A place for the call. A process that is about to stop takes no calls, but says so to whoever asks for its health.
fn enter(server: &Server, method: Method) -> Result<Place, Problem> {
    if server.drain.has_begun() && !matches!(method, Method::CheckHealth | Method::WatchHealth) {
        return Err(errors::draining());
    }
    server.room().request()
}

fn no_such_method(path: &str) -> Problem {
    let shown: String = path.chars().take(200).collect();
    Problem::new(Code::NotSupported, format_args!("there is no method {shown}"))
        .next_step("see reflection for the methods that there are")
}
