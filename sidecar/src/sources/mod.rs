//! Where the logs of `polylog dev` are kept, and their provisioning: an SQLite file, or a database of PostgreSQL or
//! MariaDB.

mod error;
mod folder;
mod last_seen;
mod late;
mod mariadb;
mod mounted;
mod observed;
mod postgres;
mod preflight;
mod provisioner;
mod rotating;
mod several;
mod sqlite;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use polylog_crds::{
    resolve::{ResolvedSource, ResolvedStore},
    validate::TargetEngine,
    values::SourceName as DeclaredName,
};
use polylog_log::{
    Approval, DatabaseId, Failure, Identity, Incarnation, IndexOptions, LogId, Plan, Source, SourceName,
};
use polylog_source_mariadb::MariadbSource;
use polylog_source_postgres::PostgresSource;
use polylog_source_sqlite::{SqliteConfig, SqliteSource};
use uuid::Uuid;

pub(crate) use error::told;
pub use error::{SourceError, code_of};
pub use folder::StoreFolder;
pub use last_seen::LastSeen;
pub(crate) use late::LateSource;
pub use mariadb::MariadbPlace;
pub(crate) use mounted::{Most, MountedDatabase};
pub(crate) use observed::Observed;
pub use postgres::PostgresPlace;
pub use preflight::Looked;
pub use provisioner::{Provisioner, index_options};
pub(crate) use rotating::RotatingSource;
pub(crate) use several::{begun_with, provision_several};

use crate::config::{ConfigError, DeclaredDatabase, ServerEngine, SourcePlacement, Target};
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
    /// A schema in a PostgreSQL database.
    Postgres(Box<PostgresPlace>),
    /// A MariaDB database.
    Mariadb(Box<MariadbPlace>),
}

impl Database {
    /// The engine, as answers name it.
    pub fn engine(&self) -> &'static str {
        match self {
            Database::Sqlite(_) => "sqlite",
            Database::Postgres(_) => "postgres",
            Database::Mariadb(_) => "mysql",
        }
    }
}

/// Without credentials.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "{}", path.display()),
            Database::Postgres(place) => write!(f, "{place}"),
            Database::Mariadb(place) => write!(f, "{place}"),
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
            (Some(_), Some(database)) => match database.engine {
                ServerEngine::Postgres => {
                    Database::Postgres(Box::new(PostgresPlace::of(database, unsafe_durability)?))
                }
                ServerEngine::Mariadb => {
                    Database::Mariadb(Box::new(MariadbPlace::of(database, unsafe_durability)?))
                }
            },
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
        let planned = match &self.database {
            Database::Sqlite(path) => sqlite::plan(path, self.wanted(None), known).map(|(_, plan)| plan),
            Database::Postgres(place) => {
                place.plan(self.wanted(None), known).await.map(|planned| planned.plan)
            }
            Database::Mariadb(place) => {
                place.plan(self.wanted(None), known).await.map(|planned| planned.plan)
            }
        };
        planned.map_err(|failure| self.failed(failure))
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
                tokio::task::spawn_blocking(move || sqlite::prepare(&path, wanted, &approval, known))
                    .await
                    .unwrap_or_else(|error| Err(Failure::Unreachable(error.to_string())))
            }
            Database::Postgres(database) => database.prepare(wanted, approval, known).await,
            Database::Mariadb(database) => database.prepare(wanted, approval, known).await,
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
            Database::Postgres(place) => place.plan(wanted, None).await?.identity,
            Database::Mariadb(place) => place.plan(wanted, None).await?.identity,
        };
        Ok(Some(identity.log).filter(|log| *log != nobody.log))
    }

    async fn connect(&self) -> Result<OpenSource, Failure> {
        match &self.database {
            Database::Sqlite(path) => {
                let opened = SqliteSource::open(SqliteConfig::new(path)).await;
                opened.map(|source| OpenSource::Sqlite(Arc::new(source)))
            }
            Database::Postgres(database) => {
                let opened = PostgresSource::open(database.data.clone()).await;
                opened.map(|source| OpenSource::Postgres(Arc::new(source)))
            }
            Database::Mariadb(database) => {
                let opened = MariadbSource::open(database.data.clone()).await;
                opened.map(|source| OpenSource::Mariadb(Arc::new(source)))
            }
        }
    }

    fn failed(&self, failure: Failure) -> SourceError {
        match &self.database {
            Database::Sqlite(path) => SourceError::File { path: path.clone(), failure },
            Database::Postgres(place) => SourceError::Database { place: place.to_string(), failure },
            Database::Mariadb(place) => SourceError::Database { place: place.to_string(), failure },
        }
    }
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

/// An open source of any engine.
#[derive(Clone)]
pub enum OpenSource {
    /// A file.
    Sqlite(Arc<SqliteSource>),
    /// A schema in a PostgreSQL database.
    Postgres(Arc<PostgresSource>),
    /// A MariaDB database.
    Mariadb(Arc<MariadbSource>),
}

impl OpenSource {
    /// The source, for a store.
    pub fn shared(&self) -> Arc<dyn Source> {
        match self {
            OpenSource::Sqlite(source) => source.clone(),
            OpenSource::Postgres(source) => source.clone(),
            OpenSource::Mariadb(source) => source.clone(),
        }
    }

    /// The setting because of which the source may lose what it acknowledged, as it is; only where that was allowed.
    ///
    /// # Errors
    /// The source does not answer.
    pub async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        match self {
            OpenSource::Sqlite(_) => Ok(None),
            OpenSource::Postgres(source) => source.unsafe_setting().await,
            OpenSource::Mariadb(source) => source.unsafe_setting().await,
        }
    }

    /// Ends the source: what was handed to it is done first.
    pub async fn close(&self) {
        match self {
            OpenSource::Sqlite(source) => source.close().await,
            OpenSource::Postgres(source) => source.close().await,
            OpenSource::Mariadb(source) => source.close().await,
        }
    }
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
