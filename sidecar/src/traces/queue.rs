use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Spans that wait to be exported; what comes on top is dropped and counted.
const WAITING: usize = 2_048;

/// Takes spans as they end. Never waits.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    dropped: Arc<AtomicU64>,
    resource: Arc<Mutex<Resource>>,
}

/// The other end of a [`Queue`].
pub(super) struct Ended {
    pub(super) spans: mpsc::Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    resource: Arc<Mutex<Resource>>,
}

impl Queue {
    pub(super) fn new() -> (Self, Ended) {
        let (sender, spans) = mpsc::channel(WAITING);
        let dropped = Arc::<AtomicU64>::default();
        let resource = Arc::new(Mutex::new(Resource::builder_empty().build()));
        let ended = Ended { spans, dropped: dropped.clone(), resource: resource.clone() };
        (Self { sender, dropped, resource }, ended)
    }
}

impl Ended {
    /// How many were dropped since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Who sends them.
    pub(super) fn resource(&self) -> Resource {
        self.resource.lock().clone()
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        *self.resource.lock() = resource.clone();
    }
}
