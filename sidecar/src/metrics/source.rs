use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{
    Seconds,
    labels::{OfSource, SourceOperation, SourceOutcome},
    register, timed,
};
use crate::catalogue;

/// Up to the most that a batch holds.
const COMMITS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 500.0];

/// What is counted of every source.
#[derive(Clone)]
pub(super) struct SourceFamilies {
    batch_commits: Family<OfSource, Histogram, fn() -> Histogram>,
    operations: Family<SourceOutcome, Counter>,
    operation_seconds: Seconds<SourceOperation>,
}

impl SourceFamilies {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let commits: fn() -> Histogram = || Histogram::new(COMMITS);
        Self {
            batch_commits: register(
                registry,
                catalogue::BATCH_COMMITS,
                Family::new_with_constructor(commits),
            ),
            operations: register(registry, catalogue::SOURCE_OPERATIONS, Family::default()),
            operation_seconds: register(registry, catalogue::SOURCE_SECONDS, timed()),
        }
    }

    pub(super) fn of(&self, store: &str, source: &str) -> SourceMetrics {
        SourceMetrics { families: self.clone(), store: store.into(), source: source.into() }
    }
}

/// What is counted of one source.
pub(crate) struct SourceMetrics {
    families: SourceFamilies,
    store: String,
    source: String,
}

impl SourceMetrics {
    /// A batch is sent.
    pub(crate) fn batch(&self, commits: usize) {
        let of = OfSource { store: self.store.clone(), source: self.source.clone() };
        self.families.batch_commits.get_or_create(&of).observe(commits as f64);
    }

    /// An operation is over.
    pub(crate) fn answered(&self, operation: &'static str, code: &'static str, took: Duration) {
        let (store, source) = (self.store.clone(), self.source.clone());
        let of = SourceOperation { store: store.clone(), source: source.clone(), operation };
        self.families.operation_seconds.get_or_create(&of).observe(took.as_secs_f64());
        self.families.operations.get_or_create(&SourceOutcome { store, source, operation, code }).inc();
    }
}
