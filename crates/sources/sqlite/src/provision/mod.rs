//! Making a file hold a log: look at what is there, plan the steps, carry out those that are approved.
//!
//! Everything here blocks; async callers use a blocking thread.

mod apply;
mod inspect;
mod plan;

use std::collections::BTreeMap;

use polylog_log::Identity;

pub use apply::apply;
pub use inspect::inspect;
pub use plan::plan;
pub use polylog_log::{Applied, Approval, Desired, IndexOptions};

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actual {
    /// No file; its folder exists and can be written to.
    Absent,
    /// A file without any table.
    Empty,
    /// A log of ours, perhaps not whole.
    Ours(Inventory),
}

/// What a file of ours holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Its identity; absent = it was never provisioned to the end.
    pub identity: Option<Identity>,
    /// Whether it is in write-ahead mode.
    pub is_wal: bool,
    /// Number of events.
    pub events: u64,
    /// Our tables that exist, with their columns.
    pub tables: BTreeMap<String, Vec<StoredColumn>>,
    /// Our indexes that exist, with the statements that created them.
    pub indexes: BTreeMap<String, String>,
}

/// A column as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Whether it is declared NOT NULL.
    pub required: bool,
}
