//! Making a database hold a log: look at what is there, plan the steps, carry out those that are approved. Before a
//! database becomes a log's, the server is probed for what the log needs of it.

mod apply;
mod command;
mod grants;
mod inspect;
mod plan;
mod probe;
mod wipe;

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::Document;
use polylog_log::Identity;

pub use apply::apply;
pub use grants::role_grants;
pub use inspect::inspect;
pub(crate) use inspect::look;
pub use plan::plan;
pub use polylog_log::{Applied, Approval, Desired, IndexOptions};
pub use probe::probe;
pub use wipe::wipe;

/// What is in the database.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Actual {
    /// The log's identity; absent = it was never provisioned to the end.
    pub identity: Option<Identity>,
    /// The stored format of its head.
    pub format: Option<u32>,
    /// Number of events.
    pub events: u64,
    /// Our collections that exist, without their prefix.
    pub collections: BTreeSet<String>,
    /// Our indexes of the events that exist, with their keys.
    pub indexes: BTreeMap<String, Document>,
}
