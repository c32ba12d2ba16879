//! Making a file hold a log: look at what is there, plan the steps, carry out those that are approved.
//!
//! Everything here blocks; async callers use a blocking thread.

mod apply;
mod inspect;
mod plan;

use std::collections::BTreeMap;

use polylog_log::{Identity, SourceName, Step, StepClass};

pub use apply::apply;
pub use inspect::inspect;
pub use plan::plan;

/// What a file should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The log. Database and incarnation count only for a file that has none yet.
    pub identity: Identity,
    /// The source's name in the manifests; for the implicit configuration of a file that has none yet.
    pub source: SourceName,
    /// Indexes that not every log needs.
    pub indexes: IndexOptions,
}

/// Indexes that a log has only when its manifest asks: each makes every append dearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexOptions {
    /// Events of a type, by position.
    pub event_type: bool,
    /// Events of an aggregate id, by position.
    pub aggregate_id: bool,
}

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

/// Which steps of a plan may be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Approval {
    automatic: Option<StepClass>,
    hash: Option<String>,
}

impl Approval {
    /// No step.
    pub fn none() -> Self {
        Self::default()
    }

    /// Steps up to a class; destructive ones never by their class alone.
    pub fn up_to(class: StepClass) -> Self {
        Self { automatic: Some(class), hash: None }
    }

    /// Also every step of the plan with this hash.
    #[must_use]
    pub fn and_plan(self, hash: impl Into<String>) -> Self {
        Self { hash: Some(hash.into()), ..self }
    }

    fn allows(&self, step: &Step, plan: &str) -> bool {
        let by_class = step.class != StepClass::Destructive && Some(step.class) <= self.automatic;
        by_class || self.hash.as_deref() == Some(plan)
    }
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Steps that were carried out.
    pub done: Vec<Step>,
    /// Steps that wait for approval.
    pub waiting: Vec<Step>,
}
