//! The admin port: liveness, readiness, metrics. Nothing here changes or tells anything of an event.

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use http::StatusCode;

use crate::{http::full, server::Server};

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/livez`, `/readyz`, `/metrics`.
pub fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/livez", get(|| async { full(StatusCode::OK, TEXT, "ok\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(server)
}

/// Ready as the role says: `dev` when every store takes appends, roles in a cluster when they are configured.
async fn ready(State(server): State<Arc<Server>>) -> Response {
    match server.ready().await {
        Ok(()) => full(StatusCode::OK, TEXT, "ok\n"),
        Err(reason) => full(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

async fn metrics(State(server): State<Arc<Server>>) -> Response {
    for hosted in server.open_stores() {
        server.metrics.observe(&hosted.name, &hosted.store.status().await);
    }
    let mounted = server.configurations.in_force().into_iter().map(|(store, is_in_force)| {
        let is_open = server.hosted(&store).is_some();
        (store, is_in_force, is_open)
    });
    server.metrics.configured(&mounted.collect::<Vec<_>>());
    full(StatusCode::OK, OPEN_METRICS, server.metrics.text())
}
