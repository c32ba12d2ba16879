//! How long is waited.

use std::time::Duration;

/// How long the server waits before it gives up, for the answer that it did.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a lock.
    pub lock: Duration,
    /// For one statement.
    pub statement: Duration,
}
