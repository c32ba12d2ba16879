//! Provisioning of databases that others use: the operator's part.

use std::fmt;

use polylog_crds::{event_store::EventIndex, resolve::ResolvedStore};
use polylog_log::{Applied, Approval, Credential, Failure, Identity, IndexOptions, LogId, Plan, SourceName};
use polylog_source_servers::limits::ConnectionLimit;

use super::{Planned, ServerDatabase, Wanted};
use crate::config::{ConfigError, DeclaredDatabase};

/// A database of a server that is to hold a source of a log.
#[derive(Debug, Clone)]
pub struct Provisioner {
    database: ServerDatabase,
    wanted: Wanted,
    is_apart: bool,
}

/// The indexes that a store asks for.
pub fn index_options(store: &ResolvedStore) -> IndexOptions {
    IndexOptions {
        event_type: store.indexes.contains(&EventIndex::Type),
        aggregate_id: store.indexes.contains(&EventIndex::AggregateId),
    }
}

impl Provisioner {
    /// The database that was declared for a source. Where it holds no log yet it becomes `fresh`: always the same for
    /// the same source, or each plan would have another hash. `unsafe_durability`: as for `polylog dev`.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn new(
        database: &DeclaredDatabase,
        source: SourceName,
        indexes: IndexOptions,
        fresh: Identity,
        unsafe_durability: bool,
    ) -> Result<Self, ConfigError> {
        let is_apart = database.provisioning.is_some();
        let database = ServerDatabase::of(database, unsafe_durability)?;
        Ok(Self { database, wanted: Wanted { source, indexes, fresh: Some(fresh) }, is_apart })
    }

    /// The credential that provisions.
    pub fn credential(&self) -> Credential {
        if self.is_apart { Credential::Provisioning } else { Credential::Rows }
    }

    /// Connects as sidecars do, and says how many connections there may be of them all, where the engine tells.
    ///
    /// # Errors
    /// Sidecars cannot connect.
    pub async fn connection_limit(&self) -> Result<Option<ConnectionLimit>, Failure> {
        self.database.place().connection_limit().await
    }

    /// Looks at the database, and says what is to be done; changes nothing. `known` is the log that it must hold.
    ///
    /// # Errors
    /// It cannot be used, or holds another log, or none where one is known.
    pub async fn plan(&self, known: Option<LogId>) -> Result<Planned, Failure> {
        self.database.place().plan(self.wanted.clone(), known).await
    }

    /// Carries out the approved steps of a plan.
    ///
    /// # Errors
    /// What was done before the failure stays: plan again.
    pub async fn apply(&self, plan: &Plan, approval: &Approval) -> Result<Applied, Failure> {
        self.database.place().apply(plan, approval).await
    }

    /// Drops the tables of a log, and nothing else; says which. None are there where the database holds no log.
    ///
    /// # Errors
    /// `WrongStore` and `Damaged`: nothing was dropped. Others: wipe again.
    pub async fn wipe(&self, log: LogId) -> Result<Vec<&'static str>, Failure> {
        self.database.place().wipe(log).await
    }
}

/// Where it is, without credentials.
impl fmt::Display for Provisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.database)
    }
}
