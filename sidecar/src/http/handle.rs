use std::{sync::Arc, time::Instant};

use axum::{body::Body, response::Response};
use futures::{FutureExt, future::BoxFuture};
use http::{Request, StatusCode};
use polylog_api::{Code, Problem};

use super::{
    admin, append,
    context::Addressed,
    events, follow, forward, read, respond,
    respond::{Answer, Refused},
    route::{self, Resource, StoreResource},
    search, stores,
};
use crate::{entrance::admit, identity::Peer, operations::errors, server::Server, traces::RequestSpan};

/// Answers one request; every failure becomes a problem with a code.
pub(crate) async fn handle(server: Arc<Server>, request: Request<Body>) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let span = RequestSpan::http(&method, request.headers());
    let (operation, answer) = span.around(dispatch(server.clone(), request)).await;
    let response = answer.unwrap_or_else(|refused| {
        let Problem { code, detail, .. } = &*refused.problem;
        if *code == Code::Internal {
            tracing::error!(event = "request_failed", operation, %detail, "a request failed for an unforeseen reason");
        }
        refused.into_response()
    });
    let response = if method == http::Method::HEAD { without_body(response) } else { response };
    span.http_answered(operation, response.status());
    server.metrics.answered(operation, response.status(), begin.elapsed());
    tracing::debug!(%method, operation, status = response.status().as_u16(), "answered");
    response
}

/// The answer to HEAD: what GET would say of its body, but not the body. A body of unknown length has no length here.
fn without_body(response: Response) -> Response {
    use http::header::CONTENT_LENGTH;
    let (mut parts, body) = response.into_parts();
    let length = axum::body::HttpBody::size_hint(&body).exact();
    if let Some(length) = length.filter(|_| parts.status != StatusCode::NO_CONTENT) {
        parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(parts, Body::empty())
}

async fn dispatch(server: Arc<Server>, request: Request<Body>) -> (&'static str, Answer) {
    let peer = match admit(&server, &request) {
        Ok(peer) => peer,
        Err(problem) => return ("refused", Err(problem.into())),
    };
    let resource = match route::find(request.method(), request.uri().path()) {
        Ok(resource) => resource,
        Err(refused) => return ("refused", Err(refused.into())),
    };
    if server.drain.has_begun() {
        return (resource.operation(), Err(errors::draining().into()));
    }
    let place = match server.room().request() {
        Ok(place) => place,
        Err(problem) => return (resource.operation(), Err(problem.into())),
    };
    let operation = match (&resource, request.method().as_str()) {
        (Resource::Of(_, StoreResource::Stream(_)), "POST") => "append",
        _ => resource.operation(),
    };
    let answer = to(server, peer, resource, request).await;
    drop(place);
    (operation, answer)
}

async fn to(server: Arc<Server>, peer: Arc<Peer>, resource: Resource, request: Request<Body>) -> Answer {
    let is_post = request.method() == http::Method::POST;
    let (parts, body) = request.into_parts();
    let (store, resource) = match resource {
        Resource::OpenApi => return Ok(crate::openapi::answer()),
        Resource::Stores => return stores::list(&server, &peer, parts).boxed().await,
        Resource::Store(name) => return stores::one(&server, &peer, &name, parts).boxed().await,
        Resource::Of(store, resource) => (store, resource),
    };
    if let Some(forward) = server.forwarded(store.as_deref()) {
        return forward::request(&server, forward, store.is_some(), &resource, parts, body).boxed().await;
    }
    let request = Addressed { server, peer, store, parts };
    // each in its own size, on the heap: in one, every request would be as large as the largest, and is moved several
    // times
    let answering: BoxFuture<'_, Answer> = match &resource {
        StoreResource::Stream(stream) if is_post => append::to_stream(request.open()?, stream, body).boxed(),
        StoreResource::Stream(stream) => read::stream(request.open()?, stream).boxed(),
        StoreResource::StreamHead(stream) => events::stream_head(request.open()?, stream).boxed(),
        StoreResource::Commits => append::commit(request.open()?, body).boxed(),
        StoreResource::Log => read::log(request.open()?).boxed(),
        StoreResource::Event(id) => events::by_id(request.open()?, id).boxed(),
        StoreResource::Locations(id) => events::locations(request.open()?, id).boxed(),
        StoreResource::Subscribe => follow::subscribe(request.open()?).boxed(),
        StoreResource::Search => search::search(request.open()?).boxed(),
        StoreResource::Statistics => search::statistics(request.open()?).boxed(),
        StoreResource::Trends => search::trends(request.open()?).boxed(),
        StoreResource::Verify => admin::verify(request.open()?).boxed(),
        StoreResource::Switch => admin::switch(request.open()?, body).boxed(),
        StoreResource::Failover => admin::failover(request, body).boxed(),
        StoreResource::Quarantine => admin::quarantine(request.open()?).boxed(),
        StoreResource::Later(what) => return Err(later(what)),
    };
    answering.await
}

fn later(what: &str) -> Refused {
    Problem::new(Code::NotSupported, format_args!("{what} is not in this version"))
        .next_step("see /openapi.json for what this version can do")
        .into()
}

impl Resource {
    /// What it is called in metrics and logs.
    fn operation(&self) -> &'static str {
        match self {
            Resource::OpenApi => "openapi",
            Resource::Stores => "stores",
            Resource::Store(_) => "store",
            Resource::Of(_, resource) => match resource {
                StoreResource::Stream(_) => "read_stream",
                StoreResource::StreamHead(_) => "stream_head",
                StoreResource::Commits => "append",
                StoreResource::Log => "read_log",
                StoreResource::Event(_) => "event",
                StoreResource::Locations(_) => "locations",
                StoreResource::Subscribe => "subscribe",
                StoreResource::Search => "search",
                StoreResource::Statistics => "statistics",
                StoreResource::Trends => "trends",
                StoreResource::Verify => "verify",
                StoreResource::Switch => "switch",
                StoreResource::Failover => "failover",
                StoreResource::Quarantine => "quarantine",
                StoreResource::Later(_) => "later",
            },
        }
    }
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = respond::full(status, "application/json", "");
    response.headers_mut().remove(http::header::CONTENT_TYPE);
    response
}
