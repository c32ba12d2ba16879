//! Where the logs of `polylog dev` are kept, and their provisioning: an SQLite file, or a database of a server.

mod away;
mod elasticsearch;
mod error;
mod folder;
mod last_seen;
mod late;
mod mariadb;
mod mongodb;
mod mounted;
mod observed;
mod on_demand;
mod opened;
mod postgres;
mod preflight;
mod provisioner;
mod rotating;
mod server;
mod several;
mod sqlite;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use polylog_crds::{
    resolve::{ResolvedSource, ResolvedStore},
    validate::TargetEngine,
    values::SourceName as DeclaredName,
};
use polylog_log::{
    Approval, DatabaseId, Failure, Identity, Incarnation, IndexOptions, LogId, Plan, SourceName,
};
use polylog_source_sqlite::{SqliteConfig, SqliteSource};
use uuid::Uuid;

pub(crate) use away::AwaySource;
use elasticsearch::ElasticsearchPlace;
pub(crate) use error::told;
pub use error::{SourceError, code_of};
pub use folder::StoreFolder;
pub use last_seen::LastSeen;
pub(crate) use late::LateSource;
use mariadb::MariadbPlace;
use mongodb::MongodbPlace;
pub(crate) use mounted::{Most, MountedDatabase};
pub(crate) use observed::Observed;
pub use opened::OpenSource;
pub use polylog_source_servers::limits::ConnectionLimit;
use postgres::PostgresPlace;
pub use preflight::Looked;
pub use provisioner::{Provisioner, index_options};
pub(crate) use rotating::RotatingSource;
pub use server::ServerDatabase;
pub(crate) use several::{begun_with, provision_several};

use crate::config::{ConfigError, DeclaredDatabase, SourcePlacement, Target};
use folder::known_log;

/// Where `polylog dev` keeps the log of a store.
#[derive(Debug, Clone)]
pub struct StorePlace {
    /// The source that holds it.
    pub source: SourceName,
    /// The store's folder.
    pub folder: PathBuf,
    /// What keeps the source.
    pub database: Database,
    /// Indexes that the store asks for.
    pub indexes: IndexOptions,
}

/// What keeps a source.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a server.
    Server(ServerDatabase),
}

impl Database {
    /// The engine, as answers name it.
    pub fn engine(&self) -> &'static str {
        match self {
            Database::Sqlite(_) => "sqlite",
            Database::Server(database) => database.engine(),
        }
    }

    /// The engine, as people name it.
    pub fn product(&self) -> String {
        match self {
            Database::Sqlite(_) => TargetEngine::Sqlite.to_string(),
            Database::Server(database) => database.product(),
        }
    }
}

/// Without credentials.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "{}", path.display()),
            Database::Server(database) => write!(f, "{database}"),
        }
    }
}

/// What a source is to be.
#[derive(Debug, Clone)]
struct Wanted {
    source: SourceName,
    indexes: IndexOptions,
    /// What a database that has no log yet becomes; a new log each time if absent.
    fresh: Option<Identity>,
}

/// What a database of a server is to be, and the steps to there.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What it holds once the steps are done.
    pub identity: Identity,
    /// Whether it holds that already.
    pub is_there: bool,
    /// The stored format of what it holds already.
    pub format: Option<u32>,
    /// The steps.
    pub plan: Plan,
}

impl Wanted {
    /// What the database is to hold: what is known, else what was found, else a new log.
    fn identity(
        &self,
        known: Option<LogId>,
        found: Option<Identity>,
        is_empty: bool,
    ) -> Result<Identity, Failure> {
        match (self.fresh, known, found) {
            (None, known, found) => identity_in(known, found, is_empty),
            (Some(_), Some(known), None) => Err(Failure::WrongStore(format!(
                "the store's log is {known}, and the database holds no log: restore it"
            ))),
            (Some(fresh), None, None) => Ok(fresh),
            (Some(_), known, Some(found)) => Ok(Identity { log: known.unwrap_or(found.log), ..found }),
        }
    }
}

impl StorePlace {
    /// The places of a store's voters, the first primary first: below the folder `data`, or where `placements` say;
    /// `databases` are those that they lead to. `unsafe_durability`: servers that forget what they acknowledged are used
    /// too.
    ///
    /// # Errors
    /// A store without a source that this version can serve; the capabilities refuse it before.
    pub fn of_voters(
        store: &ResolvedStore,
        data: &Path,
        placements: &[SourcePlacement],
        databases: &BTreeMap<DeclaredName, DeclaredDatabase>,
        unsafe_durability: bool,
    ) -> Result<Vec<Self>, ConfigError> {
        let ResolvedStore { namespace, name, .. } = store;
        let first = store
            .first_primary()
            .ok_or_else(|| ConfigError::Refused(format!("store {namespace}/{name} has no voter")))?;
        let others = store.sources.iter().filter(|source| source.provisioned && source.name != first.name);
        let place = |source| Self::of(store, source, data, placements, databases, unsafe_durability);
        std::iter::once(first).chain(others).map(place).collect()
    }

    fn of(
        store: &ResolvedStore,
        voter: &ResolvedSource,
        data: &Path,
        placements: &[SourcePlacement],
        databases: &BTreeMap<DeclaredName, DeclaredDatabase>,
        unsafe_durability: bool,
    ) -> Result<Self, ConfigError> {
        let ResolvedStore { namespace, name, .. } = store;
        let source = SourceName::recorded(voter.name.as_str());
        let folder = data.join(format!("{namespace}.{name}"));
        let placement = placements.iter().find(|placement| placement.name == voter.name);
        let database = match (placement.map(|placement| &placement.target), databases.get(&voter.name)) {
            (None, _) => Database::Sqlite(folder.join(format!("{source}.db"))),
            (Some(Target::File(path)), _) => Database::Sqlite(path.clone()),
            (Some(_), Some(database)) => Database::Server(ServerDatabase::of(database, unsafe_durability)?),
            (Some(target), None) => {
                let engine = match target {
                    Target::Address(engine, _) => *engine,
                    Target::File(_) | Target::Declared => TargetEngine::from(voter.engine),
                };
                let reason =
                    format!("--source {source}: {engine} is not in this version (EngineNotSupported)");
                return Err(ConfigError::Refused(reason));
            }
        };
        Ok(Self { source, folder, database, indexes: index_options(store) })
    }

    /// What a start would do to the database; nothing is changed.
    ///
    /// # Errors
    /// What would keep `polylog dev` from starting.
    pub async fn plan(&self) -> Result<Plan, SourceError> {
        let known = known_log(&self.folder)?;
        self.planned(known).await.map_err(|failure| self.failed(failure))
    }

    /// What is to be done to the database of this log; nothing is changed.
    pub(crate) async fn plan_of(&self, log: LogId) -> Result<Plan, Failure> {
        self.planned(Some(log)).await
    }

    async fn planned(&self, known: Option<LogId>) -> Result<Plan, Failure> {
        let wanted = self.wanted(None);
        match &self.database {
            Database::Sqlite(path) => {
                let path = path.clone();
                off_the_runtime(move || sqlite::plan(&path, wanted, known).map(|(_, plan)| plan)).await
            }
            Database::Server(database) => {
                database.place().plan(wanted, known).await.map(|planned| planned.plan)
            }
        }
    }

    fn wanted(&self, fresh: Option<Identity>) -> Wanted {
        Wanted { source: self.source.clone(), indexes: self.indexes, fresh }
    }

    async fn prepare(
        &self,
        fresh: Option<Identity>,
        approval: &Approval,
        known: Option<LogId>,
    ) -> Result<(Identity, Plan), Failure> {
        let wanted = self.wanted(fresh);
        match &self.database {
            Database::Sqlite(path) => {
                let (path, approval) = (path.clone(), approval.clone());
                off_the_runtime(move || sqlite::prepare(&path, wanted, &approval, known)).await
            }
            Database::Server(database) => database.prepare(wanted, approval, known).await,
        }
    }

    /// The log that the database holds.
    async fn found(&self) -> Result<Option<LogId>, Failure> {
        let nobody = Identity {
            log: LogId::new(Uuid::nil()),
            database: DatabaseId::new(Uuid::nil()),
            incarnation: Incarnation::new(Uuid::nil()),
        };
        let wanted = self.wanted(Some(nobody));
        let identity = match &self.database {
            Database::Sqlite(path) => sqlite::plan(path, wanted, None)?.0,
            Database::Server(database) => database.place().plan(wanted, None).await?.identity,
        };
        Ok(Some(identity.log).filter(|log| *log != nobody.log))
    }

    async fn connect(&self) -> Result<OpenSource, Failure> {
        match &self.database {
            Database::Sqlite(path) => SqliteSource::open(SqliteConfig::new(path)).await.map(OpenSource::new),
            Database::Server(database) => database.place().open().await,
        }
    }

    fn failed(&self, failure: Failure) -> SourceError {
        match &self.database {
            Database::Sqlite(path) => SourceError::File { path: path.clone(), failure },
            Database::Server(database) => SourceError::Database { place: database.to_string(), failure },
        }
    }
}

/// SQLite blocks.
async fn off_the_runtime<T: Send + 'static>(
    does: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(does).await;
    done.unwrap_or_else(|error| Err(Failure::Unreachable(error.to_string())))
}

/// A provisioned source.
pub struct Provisioned {
    /// The open source.
    pub source: OpenSource,
    /// What it holds.
    pub identity: Identity,
    /// Steps that wait for approval, with the plan's hash.
    pub waiting: Plan,
}

/// Provisions a source as approved, and opens it.
///
/// # Errors
/// A database of another log than the one that the folder belongs to is refused.
pub async fn provision(
    folder: &StoreFolder,
    place: &StorePlace,
    approval: Approval,
) -> Result<Provisioned, SourceError> {
    let known = known_log(&folder.path)?;
    let prepared = place.prepare(None, &approval, known).await;
    let (identity, waiting) = prepared.map_err(|failure| place.failed(failure))?;
    if known.is_none() {
        folder.remember(identity.log)?;
    }
    let opened = place.connect().await;
    let source = opened.map_err(|failure| place.failed(failure))?;
    Ok(Provisioned { source, identity, waiting })
}

/// The same, unless the store's log is known and the database holds none.
fn identity_in(known: Option<LogId>, found: Option<Identity>, is_empty: bool) -> Result<Identity, Failure> {
    match known {
        Some(known) if is_empty => Err(Failure::WrongStore(format!(
            "the store's folder belongs to log {known}, and the database holds no log"
        ))),
        known => Ok(identity(known, found)),
    }
}

/// What a source is to hold: what is known, else what was found, else a new log.
fn identity(known: Option<LogId>, found: Option<Identity>) -> Identity {
    Identity {
        // random from its first byte on: tokens carry the first four to tell logs apart, and those of a UUIDv7 are a clock
        log: known.or(found.map(|found| found.log)).unwrap_or_else(|| LogId::new(Uuid::new_v4())),
        database: found.map_or_else(|| DatabaseId::new(Uuid::now_v7()), |found| found.database),
        incarnation: found.map_or_else(|| Incarnation::new(Uuid::now_v7()), |found| found.incarnation),
    }
}
