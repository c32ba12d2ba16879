//! `/livez`, `/readyz` and `/metrics`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, webhook::Readiness};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The open port.
#[derive(Debug)]
pub(crate) struct Health {
    /// Where it is.
    pub(crate) address: SocketAddr,
    task: JoinHandle<io::Result<()>>,
}

impl Health {
    /// Opens the port on every address. The process is ready once it is configured, whether it leads or not: a standby
    /// that is not ready would hold up its own Deployment.
    pub(crate) async fn open(
        port: u16,
        metrics: Arc<Metrics>,
        webhook: Option<Readiness>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let listener = match TcpListener::bind(("::", port)).await {
            Ok(listener) => listener,
            // a node without IPv6
            Err(_) => TcpListener::bind(("0.0.0.0", port)).await?,
        };
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(async move || ready(webhook.as_ref())))
            .route("/metrics", get(read_metrics))
            .with_state(metrics);
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        Ok(Self { address, task: tokio::spawn(serving.into_future()) })
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(self) {
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the port of probes ended"),
            Err(error) => tracing::debug!(%error, "the port of probes ended"),
        }
    }
}

/// A process that cannot answer as a webhook yet gets no requests.
fn ready(webhook: Option<&Readiness>) -> (StatusCode, String) {
    match webhook.and_then(Readiness::missing) {
        None => (StatusCode::OK, "ok\n".into()),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
    }
}

async fn read_metrics(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    (StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text())
}
