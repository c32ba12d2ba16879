use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::Harness;
use crate::{DatabaseId, EventId, Identity, Incarnation, LogId, Nonce};

/// What a case works with: the engine's harness, and randomness that a seed repeats.
#[derive(Clone)]
pub struct Kit {
    harness: Arc<dyn Harness>,
    random: Arc<Mutex<StdRng>>,
    not_applicable: Arc<OnceLock<&'static str>>,
}

impl Kit {
    pub(crate) fn new(harness: Arc<dyn Harness>, seed: u64) -> Self {
        let random = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        Self { harness, random, not_applicable: Arc::default() }
    }

    pub(crate) fn harness(&self) -> &dyn Harness {
        &*self.harness
    }

    /// Says that the engine lacks what the case tests.
    pub(crate) fn not_applicable(&self, why: &'static str) {
        self.not_applicable.get_or_init(|| why);
    }

    pub(crate) fn why_not_applicable(&self) -> Option<&'static str> {
        self.not_applicable.get().copied()
    }

    /// Below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        self.with(|random| random.random_range(0..end))
    }

    /// Once in `n` times.
    pub(crate) fn once_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.with(|random| random.random())).into_uuid()
    }

    pub(crate) fn event_id(&self) -> EventId {
        EventId::new(self.uuid())
    }

    pub(crate) fn nonce(&self) -> Nonce {
        Nonce::new(self.uuid())
    }

    /// A new database's identity in a log.
    pub(crate) fn identity(&self, log: LogId) -> Identity {
        Identity { log, database: DatabaseId::new(self.uuid()), incarnation: Incarnation::new(self.uuid()) }
    }

    fn with<T>(&self, take: impl FnOnce(&mut StdRng) -> T) -> T {
        take(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
