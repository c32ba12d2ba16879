use std::{sync::Arc, time::Duration};

use crate::{
    admin,
    http::{self, BindError, Listeners, Serving},
    server::Server,
    traces::Export,
};

/// A process that serves: its ports are open.
pub struct Running {
    server: Arc<Server>,
    outward: Serving,
    admin: Serving,
    port: u16,
    health_port: u16,
    traces: Option<Export>,
}

/// How long the last spans may take on their way to the collector.
const LAST_SPANS: Duration = Duration::from_millis(500);
/// Connections of the admin port.
pub(crate) const ADMIN_CONNECTIONS: usize = 16;

impl Running {
    /// Opens both ports on loopback; 0 = any free one.
    pub async fn start(server: Server, port: u16, health_port: u16) -> Result<Self, BindError> {
        let outward = Listeners::loopback(port).await?;
        let admin = Listeners::loopback(health_port).await?;
        let server = Arc::new(server);
        let connections = server.room().bounds().connections;
        let (port, health_port) = (outward.port(), admin.port());
        Ok(Self {
            outward: outward.serve(http::service(server.clone()), connections),
            admin: admin.serve(admin::service(server.clone()), ADMIN_CONNECTIONS),
            traces: Export::start(&server.metrics),
            server,
            port,
            health_port,
        })
    }

    /// Takes over an admin port that is served already, and opens the outward one.
    pub(crate) fn join(server: Arc<Server>, outward: Listeners, admin: Serving, health_port: u16) -> Self {
        let connections = server.room().bounds().connections;
        let port = outward.port();
        let outward = outward.serve(http::service(server.clone()), connections);
        let traces = Export::start(&server.metrics);
        Self { server, outward, admin, port, health_port, traces }
    }

    /// The outward port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The admin port.
    pub fn health_port(&self) -> u16 {
        self.health_port
    }

    /// What it serves.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Refuses new work, finishes what was taken, ends subscriptions with a word, and closes the ports. What is not
    /// done after `patience` is cut off.
    pub async fn stop(self, patience: Duration) {
        let begin = tokio::time::Instant::now();
        self.server.drain.begin();
        let drained = async {
            for hosted in self.server.open_stores() {
                hosted.store.drain().await;
            }
        };
        if tokio::time::timeout(patience / 2, drained).await.is_err() {
            tracing::warn!(
                event = "append_unanswered",
                "not everything that was taken could be answered in time"
            );
        }
        let left = patience.saturating_sub(begin.elapsed());
        self.outward.stop(left).await;
        self.admin.stop(Duration::from_millis(100)).await;
        if let Some(traces) = self.traces {
            traces.stop(LAST_SPANS).await;
        }
    }
}
