//! Gateways are asked beside reconciles: one that does not answer must not keep a place in which another store is looked at.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use polylog_crds::manifests::ObjectKey;
use tokio::sync::Semaphore;

use super::{gateway::Gateways, memory::Memory};

/// Questions at the same time.
const MOST: usize = 64;
/// When a store is reconciled again whose gateway is being asked. A gateway that is there answers sooner.
pub(super) const SOON: Duration = Duration::from_millis(300);

/// Asks the gateways of stores.
pub(super) struct Asking {
    gateways: Gateways,
    memory: Arc<Memory>,
    room: Arc<Semaphore>,
    under_way: Arc<Mutex<HashSet<ObjectKey>>>,
}

impl Asking {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self {
            gateways: Gateways::new(),
            memory,
            room: Arc::new(Semaphore::new(MOST)),
            under_way: Arc::default(),
        }
    }

    /// Asks, unless somebody does so already. The answer is in the memory when the store is reconciled next.
    pub(super) fn ask(&self, key: &ObjectKey) {
        if !self.under_way.lock().insert(key.clone()) {
            return;
        }
        let (gateways, memory, room) = (self.gateways.clone(), self.memory.clone(), self.room.clone());
        let (under_way, key) = (self.under_way.clone(), key.clone());
        tokio::spawn(async move {
            // it is never closed
            let _place = room.acquire_owned().await;
            let seen = gateways.ask(&key).await;
            memory.answer(key.clone(), Instant::now(), seen);
            under_way.lock().remove(&key);
        });
    }

    /// Whether an answer is still to come.
    pub(super) fn is_under_way(&self, key: &ObjectKey) -> bool {
        self.under_way.lock().contains(key)
    }
}
