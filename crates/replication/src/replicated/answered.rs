use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use polylog_log::SourceName;

/// When each source answered a reader last. Looks share a source's connections with readers, who may use all of them: one
/// that answers readers is not silent, however long a look waits.
#[derive(Debug)]
pub(crate) struct Answered {
    began: Instant,
    /// Microseconds; zero = never.
    at: BTreeMap<SourceName, AtomicU64>,
}

impl Answered {
    pub(super) fn new(names: impl IntoIterator<Item = SourceName>, began: Instant) -> Self {
        Self { began, at: names.into_iter().map(|name| (name, AtomicU64::new(0))).collect() }
    }

    fn micros(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.began).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Takes that a reader has an answer of this source.
    pub(crate) fn mark(&self, name: &SourceName, now: Instant) {
        if let Some(at) = self.at.get(name) {
            at.fetch_max(self.micros(now), Ordering::Relaxed);
        }
    }

    /// Whether a reader had an answer after this moment.
    pub(super) fn is_after(&self, name: &SourceName, moment: Instant) -> bool {
        self.at.get(name).is_some_and(|at| at.load(Ordering::Relaxed) > self.micros(moment))
    }
}
