use std::collections::BTreeMap;

use parking_lot::Mutex;
use polylog_log::SourceName;
use tokio::sync::watch;

use super::Verified;

/// Where a store's verification tells what it knows, and is asked to begin anew.
pub(crate) struct Board {
    known: Mutex<BTreeMap<SourceName, Verified>>,
    asked: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self { known: Mutex::default(), asked: watch::Sender::new(0) }
    }
}

impl Board {
    /// What is known of a source; `None` = this process verifies nothing.
    pub(crate) fn of(&self, name: &SourceName) -> Option<Verified> {
        self.known.lock().get(name).copied()
    }

    pub(super) fn tell(&self, name: &SourceName, verified: Verified) {
        self.known.lock().insert(name.clone(), verified);
    }

    /// Another process verifies.
    pub(super) fn clear(&self) {
        self.known.lock().clear();
    }

    /// Everything is to be read again, at once. Gives the request's number.
    pub(crate) fn ask(&self) -> u64 {
        self.asked.send_modify(|asked| *asked += 1);
        *self.asked.borrow()
    }

    pub(super) fn asked(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }
}
