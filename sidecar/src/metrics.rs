//! What is counted: a small catalogue of typed metrics. Store and source are labels; streams and types never are, since
//! their number has no bound.

use std::time::Duration;

use http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use polylog_replication::{Acknowledged, AppendError};

/// Upper bounds in seconds: from a fast disk's flush to the longest deadline.
const SECONDS: [f64; 14] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfStore {
    store: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfSource {
    store: String,
    source: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Phase {
    store: String,
    phase: &'static str,
    source: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    store: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RemoteCall {
    operation: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// The metrics of one process.
pub struct Metrics {
    registry: Registry,
    append_seconds: Family<Phase, Histogram, fn() -> Histogram>,
    appends: Family<Outcome, Counter>,
    outcome_unknown: Family<OfStore, Counter>,
    schema_warnings: Family<OfStore, Counter>,
    requests: Family<Request, Counter>,
    request_seconds: Family<Operation, Histogram, fn() -> Histogram>,
    calls: Family<RemoteCall, Counter>,
    call_seconds: Family<Operation, Histogram, fn() -> Histogram>,
    source_up: Family<OfSource, Gauge>,
    position: Family<OfStore, Gauge>,
    waiting_commits: Family<OfStore, Gauge>,
    waiting_bytes: Family<OfStore, Gauge>,
    batches: Family<OfStore, Counter>,
    batch_events: Family<OfStore, Counter>,
    subscribers: Family<OfStore, Gauge>,
    configuration_changes: Family<Outcome, Counter>,
    configuration_in_force: Family<OfStore, Gauge>,
    store_open: Family<OfStore, Gauge>,
    resident: Gauge,
}

/// A subscriber that counts as long as this lives.
#[derive(Debug)]
pub(crate) struct Subscriber(Gauge);

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

macro_rules! register {
    ($registry:ident, $($name:literal, $metric:expr, $help:literal;)*) => {
        $($registry.register($name, $help, $metric.clone());)*
    };
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            append_seconds: Family::new_with_constructor(histogram),
            appends: Family::default(),
            outcome_unknown: Family::default(),
            schema_warnings: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(histogram),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(histogram),
            source_up: Family::default(),
            position: Family::default(),
            waiting_commits: Family::default(),
            waiting_bytes: Family::default(),
            batches: Family::default(),
            batch_events: Family::default(),
            subscribers: Family::default(),
            configuration_changes: Family::default(),
            configuration_in_force: Family::default(),
            store_open: Family::default(),
            resident: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("polylog");
        register! { registry,
            "append_duration_seconds", metrics.append_seconds, "Time of appends, from the queue to the acknowledgement";
            "appends", metrics.appends, "Appends by outcome: committed, repeated, checked, or the error's code";
            "outcome_unknown", metrics.outcome_unknown, "Appends that were sent and not answered in time";
            "schema_warnings", metrics.schema_warnings, "Events taken although their data breaks its schema";
            "http_requests", metrics.requests, "Requests by operation and status";
            "http_request_duration_seconds", metrics.request_seconds, "Time until an answer begins";
            "grpc_requests", metrics.calls, "gRPC calls by operation and code: ok, or the error's";
            "grpc_request_duration_seconds", metrics.call_seconds, "Time until an answer begins";
            "source_up", metrics.source_up, "1 where the source answers";
            "position", metrics.position, "End of the log";
            "append_queue_commits", metrics.waiting_commits, "Commits that wait to be written";
            "append_queue_bytes", metrics.waiting_bytes, "Bytes of the commits that wait to be written";
            "append_batches", metrics.batches, "Batches written: each is one transaction";
            "append_batch_events", metrics.batch_events, "Events of the batches written";
            "subscribers", metrics.subscribers, "Open subscriptions";
            "configuration_changes", metrics.configuration_changes, "Changes of the mounted configuration by what became of them";
            "configuration_in_force", metrics.configuration_in_force, "1 where the mounted configuration is in force";
            "store_open", metrics.store_open, "1 where a mounted store is open";
            "process_resident_memory_bytes", metrics.resident, "Resident memory of this process";
        }
        Self { registry, ..metrics }
    }

    pub(crate) fn answered(&self, operation: &'static str, status: StatusCode, took: Duration) {
        self.requests.get_or_create(&Request { operation, status: status.as_u16() }).inc();
        self.request_seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    pub(crate) fn called(&self, operation: &'static str, code: &'static str, took: Duration) {
        self.calls.get_or_create(&RemoteCall { operation, code }).inc();
        self.call_seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    pub(crate) fn appended(&self, store: &str, took: Duration, outcome: &Result<Acknowledged, AppendError>) {
        let store = store.to_owned();
        let word = match outcome {
            Ok(Acknowledged { repeated: true, .. }) => "repeated",
            Ok(Acknowledged { receipt: None, .. }) => "checked",
            Ok(_) => "committed",
            Err(error) => crate::operations::errors::append_code(error),
        };
        if let Ok(Acknowledged { acked_by, .. }) = outcome {
            let source = acked_by.first().map_or(String::new(), ToString::to_string);
            let phase = Phase { store: store.clone(), phase: "total", source };
            self.append_seconds.get_or_create(&phase).observe(took.as_secs_f64());
        }
        if matches!(outcome, Err(AppendError::OutcomeUnknown)) {
            self.outcome_unknown.get_or_create(&OfStore { store: store.clone() }).inc();
        }
        self.appends.get_or_create(&Outcome { store, outcome: word }).inc();
    }

    pub(crate) fn schema_warning(&self, store: &str) {
        self.schema_warnings.get_or_create(&OfStore { store: store.into() }).inc();
    }

    pub(crate) fn subscriber(&self, store: &str) -> Subscriber {
        let gauge = self.subscribers.get_or_create_owned(&OfStore { store: store.into() });
        gauge.inc();
        Subscriber(gauge)
    }

    /// Takes over what is read only when somebody asks for the metrics.
    pub(crate) fn observe(&self, store: &str, status: &polylog_replication::StoreStatus) {
        let of = OfStore { store: store.into() };
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let position = i64::try_from(status.tail.position.get()).unwrap_or(i64::MAX);
        self.position.get_or_create(&of).set(position);
        self.waiting_commits.get_or_create(&of).set(number(status.waiting_commits));
        self.waiting_bytes.get_or_create(&of).set(number(status.waiting_bytes));
        let batches = self.batches.get_or_create_owned(&of);
        batches.inc_by(status.sent.batches.saturating_sub(batches.get()));
        let events = self.batch_events.get_or_create_owned(&of);
        events.inc_by(status.sent.events.saturating_sub(events.get()));
        for source in &status.sources {
            let of = OfSource { store: store.into(), source: source.name.to_string() };
            let is_up = !matches!(source.state, polylog_replication::SourceState::Failing(_));
            self.source_up.get_or_create(&of).set(i64::from(is_up));
        }
    }

    pub(crate) fn configuration(&self, store: &str, outcome: &'static str) {
        self.configuration_changes.get_or_create(&Outcome { store: store.into(), outcome }).inc();
    }

    /// Takes over how mounted configurations are, instead of how they were.
    pub(crate) fn configured(&self, stores: &[(String, bool, bool)]) {
        self.configuration_in_force.clear();
        self.store_open.clear();
        for (store, is_in_force, is_open) in stores {
            let of = OfStore { store: store.clone() };
            self.configuration_in_force.get_or_create(&of).set(i64::from(*is_in_force));
            self.store_open.get_or_create(&of).set(i64::from(*is_open));
        }
    }

    /// The metrics in OpenMetrics' text format.
    pub(crate) fn text(&self) -> String {
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string cannot fail");
        out
    }
}

/// Resident memory, where the system tells it.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1_024)
}
