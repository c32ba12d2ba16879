//! The admin port: liveness, readiness, metrics. Nothing here changes or tells anything of an event.

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use http::{HeaderMap, StatusCode, header};
use hyper_util::service::TowerToHyperService;

use crate::{
    http::{Answers, full},
    metrics::TextFormat,
    server::Server,
};

const TEXT: &str = "text/plain; charset=utf-8";

/// `/livez`, `/readyz`, `/metrics`.
pub fn service(server: Arc<Server>) -> impl Answers {
    let router = Router::new()
        .route("/livez", get(|| async { full(StatusCode::OK, TEXT, "ok\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(server);
    TowerToHyperService::new(router)
}

/// Ready as the role says: `dev` when every store takes appends, roles in a cluster when they are configured.
async fn ready(State(server): State<Arc<Server>>) -> Response {
    match server.ready().await {
        Ok(()) => full(StatusCode::OK, TEXT, "ok\n"),
        Err(reason) => full(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

async fn metrics(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let format = TextFormat::of(&headers);
    for hosted in server.open_stores() {
        server.metrics.observe(&hosted.name, &hosted.store.status().await, &hosted.sources);
        server.metrics.alerts(&hosted.name, &hosted.alerts);
    }
    for waiting in server.waiting_stores() {
        if let Some(leadership) = &waiting.leadership {
            server.metrics.observe_sources(&waiting.name, &leadership.status().await, &waiting.sources);
        }
    }
    let mounted = server.configurations.in_force().into_iter().map(|(store, is_in_force)| {
        let is_open = server.hosted(&store).is_some();
        (store, is_in_force, is_open)
    });
    server.metrics.configured(&mounted.collect::<Vec<_>>());
    let mut response = full(StatusCode::OK, format.content_type(), server.metrics.text(format));
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("Accept"));
    response
}
