//! Making a schema hold a log: look at what is there, plan the steps, carry out those that are approved. With a
//! credential of its own: the role that a source works as needs no right to create anything.

mod apply;
mod grants;
mod inspect;
mod plan;
mod wipe;

use std::collections::BTreeMap;

use polylog_log::Identity;

use crate::config::{ConfigError, SchemaName};

pub use apply::apply;
pub use grants::{Granted, grants, role_grants};
pub use inspect::inspect;
pub use plan::plan;
pub use polylog_log::{Applied, Approval, Desired, IndexOptions};
pub use wipe::wipe;

/// Where the log's tables shall be, and who will use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The schema of the tables.
    pub schema: SchemaName,
    /// Whether the schema may be created.
    pub create_schema: bool,
    /// The role that sources work as, if it is not the one that provisions.
    pub role: Option<RoleName>,
}

/// A role of the database server: any name of 1 to 63 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleName(String);

impl RoleName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        if name.is_empty() || name.len() > 63 || name.chars().any(char::is_control) {
            return Err(ConfigError::Role(name.into()));
        }
        Ok(Self(name.into()))
    }

    /// Without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Quoted, as statements need it.
impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", quoted(&self.0))
    }
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actual {
    /// No schema.
    Absent,
    /// A schema without any table of ours.
    Empty,
    /// A log of ours, perhaps not whole.
    Ours(Inventory),
}

/// What a schema of ours holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Its identity; absent = it was never provisioned to the end.
    pub identity: Option<Identity>,
    /// The stored format of its head.
    pub format: Option<u32>,
    /// Number of events.
    pub events: u64,
    /// Our tables that exist, with their columns.
    pub tables: BTreeMap<String, Vec<StoredColumn>>,
    /// Our indexes that exist.
    pub indexes: BTreeMap<String, StoredIndex>,
    /// What the role of the [`Place`] may do.
    pub granted: Granted,
}

/// A column as the database declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// Its name.
    pub name: String,
    /// Its type, with its collation.
    pub kind: String,
    /// Whether it is declared NOT NULL.
    pub required: bool,
}

/// An index as the database declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIndex {
    /// Whether it is unique.
    pub is_unique: bool,
    /// From USING on.
    pub using: String,
    /// Whether it was built to its end.
    pub is_valid: bool,
}

/// A name as statements need it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
