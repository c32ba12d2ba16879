//! Two simulated sources, in memory: one with a transaction, one with single-document updates.
//!
//! [`transactional`] has what SQL has: a lock and a transaction. [`document`] has what a document store has: atomic
//! updates of one document, and nothing that spans two. Both tell what is durable from what is not, so that a crash can be
//! simulated, let concurrent operations overtake each other between any two steps, by a seed, and can have each rule of
//! the contract switched off, to test the tests.

mod database;
pub mod document;
mod entries;
mod schedule;
pub mod transactional;

pub use database::{Connection, Database, Kind};
pub use entries::OtherData;
use polylog_log::{Limits, Rules};

/// How a simulated database behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The rules in force.
    pub rules: Rules,
    /// Decides in which order concurrent operations take their steps.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { rules: Rules::ALL, seed: 0 }
    }
}

const LIMITS: Limits =
    Limits { event_bytes: 16 << 20, metadata_bytes: 1 << 20, commit_events: 10_000, commit_bytes: 64 << 20 };
