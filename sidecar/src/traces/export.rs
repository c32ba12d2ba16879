use std::time::Duration;

use opentelemetry_otlp::{
    Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig},
};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ENDED,
    config::{Route, Transport},
    http::Collector,
    queue::Ended,
};
use crate::metrics::{Metrics, Spans};

/// Most spans in one message.
const BATCH: usize = 512;
/// How long spans may wait for others to travel with.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// The task that hands spans to the collector.
pub(crate) struct Export {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Export {
    /// Starts it, if traces are on; the first server of a process does.
    pub(crate) fn start(metrics: &Metrics) -> Option<Self> {
        let (ended, route) = ENDED.get()?.lock().take()?;
        let stop = CancellationToken::new();
        let exporting = Exporting { ended, route, metrics: metrics.clone(), is_failing: false };
        let task = tokio::spawn(exporting.run(stop.clone()));
        Some(Self { task, stop })
    }

    /// Exports what is left, for so long at most.
    pub(crate) async fn stop(mut self, patience: Duration) {
        self.stop.cancel();
        if timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// What endpoint, headers, timeout and compression the environment names, the exporter reads itself; certificates are used
/// only where the endpoint asks for TLS.
fn exporter(route: &Route) -> Result<SpanExporter, String> {
    let builder = SpanExporter::builder();
    let built = match route.transport {
        Transport::Grpc => {
            let roots = match &route.authority {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_enabled_roots(),
            };
            builder.with_tonic().with_tls_config(roots).build()
        }
        Transport::Http => {
            let collector = Collector::new(route.authority.as_deref())?;
            builder.with_http().with_protocol(Protocol::HttpBinary).with_http_client(collector).build()
        }
    };
    built.map_err(|error| error.to_string())
}

struct Exporting {
    ended: Ended,
    route: Route,
    metrics: Metrics,
    is_failing: bool,
}

impl Exporting {
    async fn run(mut self, stop: CancellationToken) {
        let mut exporter = match exporter(&self.route) {
            Ok(exporter) => exporter,
            Err(error) => {
                tracing::error!(event = "traces_off", %error, "traces cannot be exported");
                return;
            }
        };
        exporter.set_resource(&self.ended.resource());
        let mut batch = Vec::new();
        loop {
            let is_last = self.gather(&mut batch, &stop).await;
            self.export(&exporter, std::mem::take(&mut batch)).await;
            if is_last {
                return;
            }
        }
    }

    /// Waits for a span, and then a little for others. True when nothing more is to be waited for.
    async fn gather(&mut self, batch: &mut Vec<SpanData>, stop: &CancellationToken) -> bool {
        let mut until = None;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let gathered = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    // what was dropped must be told even where nothing else happens
                    None => tokio::time::sleep(GATHER).await,
                }
            };
            tokio::select! {
                biased;
                count = self.ended.spans.recv_many(batch, room) => {
                    if count == 0 {
                        return true;
                    }
                    until.get_or_insert_with(|| tokio::time::Instant::now() + GATHER);
                }
                () = stop.cancelled() => return true,
                () = gathered => return false,
            }
        }
        false
    }

    async fn export(&mut self, exporter: &SpanExporter, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        if count > 0 {
            let outcome = match timeout(PATIENCE, exporter.export(batch)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {PATIENCE:?}")),
            };
            self.metrics.spans(if outcome.is_ok() { Spans::Exported } else { Spans::Failed }, count);
            match &outcome {
                Err(error) if !self.is_failing => {
                    tracing::warn!(event = "traces_failing", %error, "the collector does not take spans");
                }
                Ok(()) if self.is_failing => {
                    tracing::info!(event = "traces_exported_again", "the collector takes spans again");
                }
                _ => {}
            }
            self.is_failing = outcome.is_err();
        }
        match self.ended.take_dropped() {
            0 => {}
            dropped => self.metrics.spans(Spans::Dropped, dropped),
        }
    }
}
