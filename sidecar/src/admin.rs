//! The admin port: liveness, readiness, metrics. Nothing here changes or tells anything of an event.

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use http::{HeaderMap, StatusCode, header};

use crate::{http::full, metrics::TextFormat, server::Server};

const TEXT: &str = "text/plain; charset=utf-8";

/// `/livez`, `/readyz`, `/metrics`.
pub fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/livez", get(|| async { full(StatusCode::OK, TEXT, "ok\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(server)
}

/// Ready = appends are accepted by every store, and no end is in sight.
async fn ready(State(server): State<Arc<Server>>) -> Response {
    match server.ready().await {
        Ok(()) => full(StatusCode::OK, TEXT, "ok\n"),
        Err(reason) => full(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

async fn metrics(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let format = TextFormat::of(&headers);
    for hosted in server.stores.values() {
        server.metrics.observe(&hosted.name, &hosted.store.status().await);
    }
    let mut response = full(StatusCode::OK, format.content_type(), server.metrics.text(format));
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("Accept"));
    response
}
