//! Making a database hold a log: look at what is there, plan the steps, carry out those that are approved. With a
//! credential of its own: the user that a source works as needs no right to create anything.

pub(crate) mod account;
mod apply;
pub(crate) mod grants;
mod inspect;
mod plan;
mod wipe;

use std::collections::BTreeMap;

use polylog_log::Identity;

use crate::tables::Tables;

pub use account::{Account, Worker};
pub use apply::apply;
pub use grants::{Granted, grants, role_grants};
pub use inspect::inspect;
pub use plan::plan;
pub use polylog_log::{Applied, Approval, Desired, IndexOptions};
pub use wipe::wipe;

/// Where the log's tables shall be, and who will use them.
#[derive(Debug, Clone)]
pub struct Place {
    /// Their database, and what their names begin with.
    pub tables: Tables,
    /// Whether the database may be created.
    pub create_database: bool,
    /// The user that sources work as, if it is not the one that provisions.
    pub worker: Option<Worker>,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actual {
    /// No database.
    Absent,
    /// A database without any table of ours: of the place's prefix.
    Empty,
    /// A log of ours, perhaps not whole.
    Ours(Inventory),
}

/// What a database of ours holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Its identity; absent = it was never provisioned to the end.
    pub identity: Option<Identity>,
    /// The stored format of its head.
    pub format: Option<u32>,
    /// Number of events.
    pub events: u64,
    /// Our tables that exist, by their names without the prefix.
    pub tables: BTreeMap<String, StoredTable>,
    /// Our indexes that exist, in the same way.
    pub indexes: BTreeMap<String, StoredIndex>,
    /// What the user of the [`Place`] may do.
    pub granted: Granted,
}

/// A table as the server declares it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredTable {
    /// What keeps its rows: `InnoDB`, or something without transactions.
    pub engine: String,
    /// In order.
    pub columns: Vec<StoredColumn>,
}

/// A column as the server declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// Its name.
    pub name: String,
    /// Its type, with its collation.
    pub kind: String,
    /// Whether it is declared NOT NULL.
    pub required: bool,
}

/// An index as the server declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIndex {
    /// Whether it is unique.
    pub is_unique: bool,
    /// Its columns in order, with a comma between.
    pub columns: String,
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
