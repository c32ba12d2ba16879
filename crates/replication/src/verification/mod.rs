//! Compares what the sources hold, reads it again, and writes back what is missing or damaged.
//!
//! `walk` and `bisect` decide what is to be looked at next, `ledger` what is known of a source; `task` does the reading, at
//! a bounded rate. What may be written back a source decides itself, by its own chain.

mod bisect;
mod board;
mod ledger;
mod mend;
mod pace;
mod sight;
mod task;
mod walk;

use std::time::Duration;

pub(crate) use board::Board;
pub use ledger::Verified;
pub(crate) use sight::Sight;
pub(crate) use task::verify;

/// How a log is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerificationOptions {
    /// Everything is read once in this time; what is new, within seconds.
    pub cycle: Duration,
    /// Most reads in a second.
    pub reads_per_second: u32,
}

impl Default for VerificationOptions {
    fn default() -> Self {
        Self { cycle: Duration::from_secs(24 * 3_600), reads_per_second: 50 }
    }
}
