//! What all connections of one source know of each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How the connections of one source stand.
#[derive(Debug, Default)]
pub struct Standing {
    /// How often a check went wrong: whatever session it was, every other one checks again then.
    bad_checks: AtomicU64,
    /// A test stopped this handle.
    crashed: AtomicBool,
}

impl Standing {
    /// How many checks have gone wrong.
    pub fn bad_checks(&self) -> u64 {
        self.bad_checks.load(Ordering::Acquire)
    }

    /// Tells every session of a check that went wrong.
    pub fn noticed<T, E>(&self, checked: Result<T, E>) -> Result<T, E> {
        if checked.is_err() {
            self.bad_checks.fetch_add(1, Ordering::AcqRel);
        }
        checked
    }

    /// Answers nothing any more.
    pub fn crash(&self) {
        self.crashed.store(true, Ordering::Release);
    }

    /// Whether a test stopped it.
    pub fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::Acquire)
    }
}
