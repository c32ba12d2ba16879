//! What is counted, as the [catalogue](crate::catalogue) says.

mod labels;
mod process;
mod registered;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod verified;

use std::{
    collections::BTreeMap,
    hash::Hash,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use http::StatusCode;
use parking_lot::Mutex;
use polylog_crds::resolve::ResolvedAlerts;
use polylog_log::{Source, SourceName, Term};
use polylog_replication::{Acknowledged, AppendError, SourceState, StoreStatus};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::{
    labels::*, process::ProcessMetrics, registered::register, source::SourceFamilies,
    verified::VerifiedFamilies,
};
use crate::{catalogue, hosted::DeclaredSource, sources::Observed};

pub(crate) use self::{source::SourceMetrics, text::TextFormat};

/// Upper bounds in seconds: from a fast disk's flush to the longest deadline.
const SECONDS: [f64; 14] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;
type Decimal = Gauge<f64, AtomicU64>;

/// The metrics of one process. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    /// Held while something is taken over that was counted elsewhere, so that two readers do not add it twice. The sources of
    /// each store, as they were shown last.
    taking_over: Mutex<BTreeMap<String, Vec<OfSource>>>,
    append_seconds: Seconds<Phase>,
    appends: Family<StoreOutcome, Counter>,
    outcome_unknown: Family<OfStore, Counter>,
    schema_warnings: Family<OfStore, Counter>,
    requests: Family<Request, Counter>,
    request_seconds: Seconds<Operation>,
    calls: Family<RemoteCall, Counter>,
    call_seconds: Seconds<Operation>,
    source_up: Family<OfSource, Gauge>,
    source_primary: Family<OfSource, Gauge>,
    source_votes: Family<OfSource, Gauge>,
    source_maintenance: Family<OfSource, Gauge>,
    source: SourceFamilies,
    verified: VerifiedFamilies,
    replication_lag: Family<OfSource, Gauge>,
    source_stalled: Family<OfSource, Gauge>,
    replication_lag_seconds: Family<OfSource, Decimal>,
    alert_lag: Family<OfStore, Gauge>,
    alert_lag_seconds: Family<OfStore, Decimal>,
    position: Family<OfStore, Gauge>,
    term: Family<OfStore, Gauge>,
    waiting_commits: Family<OfStore, Gauge>,
    waiting_bytes: Family<OfStore, Gauge>,
    batches: Family<OfStore, Counter>,
    batch_events: Family<OfStore, Counter>,
    subscribers: Family<OfStore, Gauge>,
    subscriber_lag: Family<OfStore, Gauge>,
    configuration_changes: Family<StoreOutcome, Counter>,
    configuration_in_force: Family<OfStore, Gauge>,
    store_open: Family<OfStore, Gauge>,
    spans: Family<Outcome, Counter>,
    process: ProcessMetrics,
}

/// What became of the spans of traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    /// The collector has them.
    Exported,
    /// The queue was full.
    Dropped,
    /// The collector did not take them.
    Failed,
}

/// A subscriber that counts as long as this lives.
#[derive(Debug)]
pub(crate) struct Subscriber(Gauge);

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn timed<L: Clone + Hash + Eq>() -> Seconds<L> {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let registry = &mut Registry::default();
        let inner = Inner {
            appends: register(registry, catalogue::APPENDS, Family::default()),
            append_seconds: register(registry, catalogue::APPEND_SECONDS, timed()),
            outcome_unknown: register(registry, catalogue::OUTCOME_UNKNOWN, Family::default()),
            waiting_commits: register(registry, catalogue::QUEUE_COMMITS, Family::default()),
            waiting_bytes: register(registry, catalogue::QUEUE_BYTES, Family::default()),
            batches: register(registry, catalogue::BATCHES, Family::default()),
            batch_events: register(registry, catalogue::BATCH_EVENTS, Family::default()),
            source: SourceFamilies::new(registry),
            schema_warnings: register(registry, catalogue::SCHEMA_WARNINGS, Family::default()),
            alert_lag: register(registry, catalogue::ALERT_LAG, Family::default()),
            alert_lag_seconds: register(registry, catalogue::ALERT_LAG_SECONDS, Family::default()),
            position: register(registry, catalogue::POSITION, Family::default()),
            term: register(registry, catalogue::TERM, Family::default()),
            source_up: register(registry, catalogue::SOURCE_UP, Family::default()),
            source_primary: register(registry, catalogue::SOURCE_PRIMARY, Family::default()),
            source_votes: register(registry, catalogue::SOURCE_VOTES, Family::default()),
            source_maintenance: register(registry, catalogue::SOURCE_MAINTENANCE, Family::default()),
            replication_lag: register(registry, catalogue::REPLICATION_LAG, Family::default()),
            source_stalled: register(registry, catalogue::SOURCE_STALLED, Family::default()),
            replication_lag_seconds: register(
                registry,
                catalogue::REPLICATION_LAG_SECONDS,
                Family::default(),
            ),
            verified: VerifiedFamilies::new(registry),
            subscribers: register(registry, catalogue::SUBSCRIBERS, Family::default()),
            subscriber_lag: register(registry, catalogue::SUBSCRIBER_LAG, Family::default()),
            requests: register(registry, catalogue::HTTP_REQUESTS, Family::default()),
            request_seconds: register(registry, catalogue::HTTP_SECONDS, timed()),
            calls: register(registry, catalogue::GRPC_REQUESTS, Family::default()),
            call_seconds: register(registry, catalogue::GRPC_SECONDS, timed()),
            configuration_changes: register(registry, catalogue::CONFIGURATION_CHANGES, Family::default()),
            configuration_in_force: register(registry, catalogue::CONFIGURATION_IN_FORCE, Family::default()),
            store_open: register(registry, catalogue::STORE_OPEN, Family::default()),
            spans: register(registry, catalogue::TRACE_SPANS, Family::default()),
            process: ProcessMetrics::new(registry),
            taking_over: Mutex::default(),
            registry: {
                let version = ("version", env!("CARGO_PKG_VERSION"));
                registered::info(registry, catalogue::BUILD, version);
                std::mem::take(registry)
            },
        };
        Self { inner: Arc::new(inner) }
    }

    /// A source whose operations are counted.
    pub fn observed(&self, store: &str, name: &SourceName, source: Arc<dyn Source>) -> Arc<dyn Source> {
        let metrics = self.inner.source.of(store, name.as_str());
        Arc::new(Observed { inner: source, metrics })
    }

    pub(crate) fn answered(&self, operation: &'static str, status: StatusCode, took: Duration) {
        self.inner.requests.get_or_create(&Request { operation, status: status.as_u16() }).inc();
        self.inner.request_seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    pub(crate) fn called(&self, operation: &'static str, code: &'static str, took: Duration) {
        self.inner.calls.get_or_create(&RemoteCall { operation, code }).inc();
        self.inner.call_seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
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
            self.inner.append_seconds.get_or_create(&phase).observe(took.as_secs_f64());
        }
        if matches!(outcome, Err(AppendError::OutcomeUnknown)) {
            self.inner.outcome_unknown.get_or_create(&OfStore { store: store.clone() }).inc();
        }
        self.inner.appends.get_or_create(&StoreOutcome { store, outcome: word }).inc();
    }

    pub(crate) fn schema_warning(&self, store: &str) {
        self.inner.schema_warnings.get_or_create(&OfStore { store: store.into() }).inc();
    }

    pub(crate) fn subscriber(&self, store: &str) -> Subscriber {
        let gauge = self.inner.subscribers.get_or_create_owned(&OfStore { store: store.into() });
        gauge.inc();
        Subscriber(gauge)
    }

    /// The mounted configuration of a store changed, with this outcome.
    pub fn configuration(&self, store: &str, outcome: &'static str) {
        self.inner.configuration_changes.get_or_create(&StoreOutcome { store: store.into(), outcome }).inc();
    }

    /// Takes over how mounted configurations are, instead of how they were: the store, whether what is mounted is in
    /// force, and whether the store is open.
    pub fn configured(&self, stores: &[(String, bool, bool)]) {
        let _alone = self.inner.taking_over.lock();
        self.inner.configuration_in_force.clear();
        self.inner.store_open.clear();
        for (store, is_in_force, is_open) in stores {
            let of = OfStore { store: store.clone() };
            self.inner.configuration_in_force.get_or_create(&of).set(i64::from(*is_in_force));
            self.inner.store_open.get_or_create(&of).set(i64::from(*is_open));
        }
    }

    /// Something became of so many spans.
    pub fn spans(&self, spans: Spans, count: u64) {
        let outcome = match spans {
            Spans::Exported => "exported",
            Spans::Dropped => "dropped",
            Spans::Failed => "failed",
        };
        self.inner.spans.get_or_create(&Outcome { outcome }).inc_by(count);
    }

    /// Takes over what is read only when somebody asks for the metrics.
    pub(crate) fn observe(&self, store: &str, status: &StoreStatus, declared: &[DeclaredSource]) {
        self.observe_sources(store, status, declared);
        let _alone = self.inner.taking_over.lock();
        let of = OfStore { store: store.into() };
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let tail = status.tail.position.get();
        let slowest = status.slowest_follower.map_or(tail, polylog_log::Position::get);
        let lag = i64::try_from(tail.saturating_sub(slowest)).unwrap_or(i64::MAX);
        self.inner.position.get_or_create(&of).set(i64::try_from(tail).unwrap_or(i64::MAX));
        self.inner.term.get_or_create(&of).set(i64::try_from(status.term.get()).unwrap_or(i64::MAX));
        self.inner.subscriber_lag.get_or_create(&of).set(lag);
        self.inner.waiting_commits.get_or_create(&of).set(number(status.waiting_commits));
        self.inner.waiting_bytes.get_or_create(&of).set(number(status.waiting_bytes));
        let batches = self.inner.batches.get_or_create_owned(&of);
        batches.inc_by(status.sent.batches.saturating_sub(batches.get()));
        let events = self.inner.batch_events.get_or_create_owned(&of);
        events.inc_by(status.sent.events.saturating_sub(events.get()));
    }

    /// Takes over from when on the sources of a store are told to be slow; nothing is shown where the rules say it.
    pub(crate) fn alerts(&self, store: &str, alerts: &ResolvedAlerts) {
        let of = OfStore { store: store.into() };
        match alerts.lag_events {
            Some(events) => {
                let events = i64::try_from(events).unwrap_or(i64::MAX);
                self.inner.alert_lag.get_or_create(&of).set(events);
            }
            None => {
                self.inner.alert_lag.remove(&of);
            }
        }
        match alerts.lag {
            Some(lag) => {
                self.inner.alert_lag_seconds.get_or_create(&of).set(lag.as_std().as_secs_f64());
            }
            None => {
                self.inner.alert_lag_seconds.remove(&of);
            }
        }
    }

    /// What of it is about the sources: they are known also where the log is not open.
    pub(crate) fn observe_sources(&self, store: &str, status: &StoreStatus, declared: &[DeclaredSource]) {
        let mut shown = self.inner.taking_over.lock();
        let of_source = |source: &polylog_replication::SourceStatus| OfSource {
            store: store.into(),
            source: source.name.to_string(),
        };
        let now: Vec<OfSource> = status.sources.iter().map(of_source).collect();
        if shown.get(store) != Some(&now) {
            let before = shown.insert(store.into(), now).unwrap_or_default();
            before.iter().for_each(|gone| self.inner.forget(gone));
        }
        for source in &status.sources {
            let in_maintenance =
                |declared: &DeclaredSource| declared.name == source.name && declared.is_in_maintenance;
            let in_maintenance = declared.iter().any(in_maintenance);
            let of = OfSource { store: store.into(), source: source.name.to_string() };
            let is_up = !matches!(source.state, SourceState::Failing(_));
            self.inner.source_up.get_or_create(&of).set(i64::from(is_up));
            self.inner.source_maintenance.get_or_create(&of).set(i64::from(in_maintenance));
            self.inner.verified.observe(&of, source);
            if status.sources.len() > 1 {
                let votes = source.role == polylog_replication::Role::Voter;
                self.inner.source_votes.get_or_create(&of).set(i64::from(votes));
                // nobody says how far the log goes before a source leads it, nor how far one is that was never seen
                if source.state != SourceState::NotOpened && source.term != Term::ZERO {
                    let behind = i64::try_from(source.lag_events).unwrap_or(i64::MAX);
                    self.inner.replication_lag.get_or_create(&of).set(behind);
                }
                let stalled = match &source.state {
                    SourceState::Stalled(stalled) => {
                        i64::try_from(stalled.position.get()).unwrap_or(i64::MAX)
                    }
                    _ => 0,
                };
                self.inner.source_stalled.get_or_create(&of).set(stalled);
                let is_primary = status.primary.as_ref() == Some(&source.name);
                self.inner.source_primary.get_or_create(&of).set(i64::from(is_primary));
                if let Some(lag) = source.lag {
                    self.inner.replication_lag_seconds.get_or_create(&of).set(lag.as_secs_f64());
                }
            }
        }
    }

    /// The metrics as text.
    pub(crate) fn text(&self, format: TextFormat) -> String {
        let _alone = self.inner.taking_over.lock();
        self.inner.process.observe();
        format.write(&self.inner.registry)
    }
}

impl Inner {
    /// The source is no part of its log any more, or no longer one of several.
    fn forget(&self, gone: &OfSource) {
        let gauges = [
            &self.source_up,
            &self.source_primary,
            &self.source_votes,
            &self.source_maintenance,
            &self.replication_lag,
            &self.source_stalled,
        ];
        for gauge in gauges {
            gauge.remove(gone);
        }
        self.replication_lag_seconds.remove(gone);
        self.verified.gone(gone);
    }
}
