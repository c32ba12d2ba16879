//! SQLite files that hold the logs of `polylog dev`.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use polylog_crds::{event_store::EventIndex, resolve::ResolvedStore, validate::TargetEngine};
use polylog_log::{DatabaseId, Failure, Identity, Incarnation, LogId, Plan, SourceName};
use polylog_source_sqlite::{
    SqliteConfig, SqliteSource,
    provision::{self, Actual, Approval, Desired, IndexOptions},
};
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::config::{ConfigError, SourcePlacement};

/// Why a store's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process serves them. Stop it, or use another folder.
    #[error("{path} is in use by another polylog dev{by}: stop it, or choose another folder with --data")]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Which one, if it is known.
        by: String,
    },
    /// The folder cannot be read or written. Check its rights.
    #[error("{path}: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The file cannot be used as a source. The failure says why.
    #[error("{path}: {failure}")]
    Source {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        failure: Failure,
    },
}

/// Where `polylog dev` keeps the log of a store.
#[derive(Debug, Clone)]
pub struct StorePlace {
    /// The source that holds it.
    pub source: SourceName,
    /// The store's folder.
    pub folder: PathBuf,
    /// The source's file.
    pub file: PathBuf,
    /// Indexes that the store asks for.
    pub indexes: IndexOptions,
}

impl StorePlace {
    /// The place below the folder `data`, or where `placements` say.
    ///
    /// # Errors
    /// A store without a source that this version can serve; the capabilities refuse it before.
    pub fn of(
        store: &ResolvedStore,
        data: &Path,
        placements: &[SourcePlacement],
    ) -> Result<Self, ConfigError> {
        let ResolvedStore { namespace, name, .. } = store;
        let primary = store
            .first_primary()
            .ok_or_else(|| ConfigError::Refused(format!("store {namespace}/{name} has no voter")))?;
        let source = SourceName::recorded(primary.name.as_str());
        let folder = data.join(format!("{namespace}.{name}"));
        let file = match placements.iter().find(|placement| placement.name == primary.name) {
            None => folder.join(format!("{source}.db")),
            Some(SourcePlacement { engine: TargetEngine::Sqlite, path, .. }) => path.clone(),
            Some(SourcePlacement { engine, .. }) => {
                let reason =
                    format!("--source {source}: {engine} is not in this version (EngineNotSupported)");
                return Err(ConfigError::Refused(reason));
            }
        };
        let indexes = IndexOptions {
            event_type: store.indexes.contains(&EventIndex::Type),
            aggregate_id: store.indexes.contains(&EventIndex::AggregateId),
        };
        Ok(Self { source, folder, file, indexes })
    }

    /// What a start would do to the file; nothing is changed.
    ///
    /// # Errors
    /// What would keep `polylog dev` from starting.
    pub fn plan(&self) -> Result<Plan, FileError> {
        let known = known_log(&self.folder)?;
        let planned = plan(&self.file, self.source.clone(), self.indexes, known);
        planned
            .map(|(_, plan)| plan)
            .map_err(|failure| FileError::Source { path: self.file.clone(), failure })
    }
}

/// The folder of one store; no other process can claim it while this lives.
#[derive(Debug)]
pub struct StoreFolder {
    path: PathBuf,
    _lock: File,
}

impl StoreFolder {
    /// Makes the folder if it is missing, and claims it.
    pub fn claim(path: PathBuf) -> Result<Self, FileError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| FileError::Io { path, error }
        };
        fs::create_dir_all(&path).map_err(failed(&path))?;
        let lock_path = path.join("lock");
        let mut options = File::options();
        let mut lock = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut by = String::new();
            // only for the message: without it the error is still true
            let _ = lock.read_to_string(&mut by);
            let by = if by.trim().is_empty() { by } else { format!(" (process {})", by.trim()) };
            return Err(FileError::InUse { path, by });
        }
        lock.set_len(0).map_err(failed(&lock_path))?;
        writeln!(lock, "{}", std::process::id()).map_err(failed(&lock_path))?;
        Ok(Self { path, _lock: lock })
    }

    fn remember(&self, log: LogId) -> Result<(), FileError> {
        let path = self.path.join("store-id");
        let whole_or_absent = || {
            let draft = self.path.join("store-id.new");
            let mut file = File::create(&draft)?;
            writeln!(file, "{log}")?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        whole_or_absent().map_err(|error| FileError::Io { path: path.clone(), error })
    }
}

/// A provisioned file.
pub struct Provisioned {
    /// The open source.
    pub source: SqliteSource,
    /// What it holds.
    pub identity: Identity,
    /// Steps that wait for approval, with the plan's hash.
    pub waiting: Plan,
}

/// Provisions a file as approved, and opens it.
///
/// # Errors
/// A file of another log than the one that the folder belongs to is refused.
pub async fn provision(
    folder: &StoreFolder,
    place: &StorePlace,
    approval: Approval,
) -> Result<Provisioned, FileError> {
    let known = known_log(&folder.path)?;
    let StorePlace { source, file, indexes, .. } = place.clone();
    let prepared =
        tokio::task::spawn_blocking(move || prepare(&file, source, indexes, &approval, known)).await;
    let failed = |failure| FileError::Source { path: place.file.clone(), failure };
    let (identity, waiting) = match prepared {
        Ok(prepared) => prepared.map_err(failed)?,
        Err(error) => return Err(failed(Failure::Unreachable(error.to_string()))),
    };
    if known.is_none() {
        folder.remember(identity.log)?;
    }
    let source = SqliteSource::open(SqliteConfig::new(&place.file)).await.map_err(failed)?;
    Ok(Provisioned { source, identity, waiting })
}

fn prepare(
    path: &Path,
    source: SourceName,
    indexes: IndexOptions,
    approval: &Approval,
    known: Option<LogId>,
) -> Result<(Identity, Plan), Failure> {
    if let Some(folder) = folder_of(path) {
        fs::create_dir_all(folder).map_err(|error| {
            Failure::Unreachable(format!("the folder {} cannot be made: {error}", folder.display()))
        })?;
    }
    let (identity, plan) = plan(path, source, indexes, known)?;
    let applied = provision::apply(path, &plan, approval)?;
    Ok((identity, Plan { steps: applied.waiting }))
}

/// What a file is to be, and the steps to there.
fn plan(
    path: &Path,
    source: SourceName,
    indexes: IndexOptions,
    known: Option<LogId>,
) -> Result<(Identity, Plan), Failure> {
    let actual = match folder_of(path) {
        Some(folder) if !folder.exists() => Actual::Absent,
        _ => provision::inspect(path)?,
    };
    let found = match &actual {
        Actual::Ours(inventory) => inventory.identity,
        Actual::Absent | Actual::Empty => None,
    };
    if let (Some(known), None) = (known, found)
        && matches!(actual, Actual::Absent | Actual::Empty)
    {
        return Err(Failure::Damaged(format!(
            "the folder belongs to log {known}, but its file is gone: restore it, or remove the folder to begin anew"
        )));
    }
    let identity = Identity {
        // random from its first byte on: tokens carry the first four to tell logs apart, and those of a UUIDv7 are a clock
        log: known.or(found.map(|found| found.log)).unwrap_or_else(|| LogId::new(Uuid::new_v4())),
        database: found.map_or_else(|| DatabaseId::new(Uuid::now_v7()), |found| found.database),
        incarnation: found.map_or_else(|| Incarnation::new(Uuid::now_v7()), |found| found.incarnation),
    };
    let plan = provision::plan(&Desired { identity, source, indexes }, &actual)?;
    Ok((identity, plan))
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// The log that a store's folder belongs to, if one was ever provisioned there.
fn known_log(folder: &Path) -> Result<Option<LogId>, FileError> {
    let path = folder.join("store-id");
    match fs::read_to_string(&path) {
        Ok(text) => match Uuid::try_parse(text.trim()) {
            Ok(id) => Ok(Some(LogId::new(id))),
            Err(error) => {
                Err(FileError::Io { path, error: io::Error::new(io::ErrorKind::InvalidData, error) })
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Io { path, error }),
    }
}
