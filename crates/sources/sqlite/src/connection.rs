use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use polylog_log::Failure;
use rusqlite::{Connection, OpenFlags};

use crate::{
    SqliteConfig,
    error::EngineError,
    faults::Faults,
    file::{self, FileId, Found},
    schema,
};

/// The oldest SQLite whose write-ahead log is free of the reset bug that was fixed in 3.51.3.
const OLDEST_SQLITE: i32 = 3_051_003;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// What all connections of one source share.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) config: SqliteConfig,
    crashed: Arc<AtomicBool>,
}

impl Handle {
    pub(crate) fn new(config: SqliteConfig) -> Self {
        Self { config, crashed: Arc::default() }
    }
}

/// A place for one connection; opens it when needed, and again after an error that broke it.
pub(crate) struct Slot {
    config: SqliteConfig,
    role: Role,
    open: Option<(Connection, FileId)>,
    /// Shared by all connections of a source.
    crashed: Arc<AtomicBool>,
}

impl Slot {
    pub(crate) fn new(handle: &Handle, role: Role) -> Self {
        Self { config: handle.config.clone(), role, open: None, crashed: handle.crashed.clone() }
    }

    /// How long SQLite waits for a lock.
    pub(crate) fn patience(&self) -> Duration {
        self.config.busy_timeout
    }

    /// The connection to the file that the path leads to now.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, EngineError> {
        if self.crashed.load(Ordering::Acquire) {
            return Err(EngineError::Crashed);
        }
        // a file that was replaced lives on without a name: what is written to it is lost
        let is_current = self.open.as_ref().is_some_and(|(_, id)| FileId::of(&self.config.path) == Some(*id));
        if !is_current {
            self.open = None;
        }
        let (connection, _) = match self.open.take() {
            Some(open) => self.open.insert(open),
            None => self.open.insert(open(&self.config, self.role)?),
        };
        Ok(connection)
    }

    /// Gives the connection up if `error` broke it, or if it is still in a transaction.
    pub(crate) fn settle(&mut self, error: Option<&EngineError>) {
        if matches!(error, Some(EngineError::Crashed)) {
            self.crashed.store(true, Ordering::Release);
        }
        let is_broken = error.is_some_and(EngineError::breaks_connection);
        let is_stuck = self.open.as_ref().is_some_and(|(connection, _)| !connection.is_autocommit());
        if is_broken || is_stuck {
            self.open = None;
        }
    }

    /// The fail points, for one operation.
    pub(crate) fn faults(&self) -> Faults {
        Faults::new(self.config.fail_points.clone())
    }

    /// Gives the connection up.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// Gives cached pages back; the next operations read them again.
    pub(crate) fn shrink(&mut self) {
        let shrunk = self.open.as_ref().map(|(connection, _)| connection.release_memory());
        if shrunk.is_some_and(|result| result.is_err()) {
            self.open = None;
        }
    }
}

fn open(config: &SqliteConfig, role: Role) -> Result<(Connection, FileId), EngineError> {
    let missing = || Failure::NotProvisioned(format!("there is no file {}", config.path.display()));
    if file::look(&config.path)? == Found::Nothing {
        return Err(missing().into());
    }
    let before = FileId::of(&config.path).ok_or_else(missing)?;
    let connection = connect(&config.path, OpenFlags::empty(), config.busy_timeout)?;
    check_owner(&connection)?;
    let cache = match role {
        Role::Writer => config.writer_cache,
        Role::Reader => config.reader_cache,
    };
    set(&connection, "cache_size", -((cache / 1024) as i64))?;
    set(&connection, "wal_autocheckpoint", i64::from(config.checkpoint_pages))?;
    if role == Role::Reader {
        set(&connection, "query_only", 1)?;
    }
    if FileId::of(&config.path) != Some(before) {
        return Err(Failure::Unreachable("the file was replaced while it was opened".into()).into());
    }
    Ok((connection, before))
}

/// A connection with everything that durability and safety rest on; reads nothing yet.
pub(crate) fn connect(
    path: &Path,
    flags: OpenFlags,
    busy_timeout: Duration,
) -> Result<Connection, EngineError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let found = rusqlite::version();
        return Err(Failure::Unreachable(format!("SQLite 3.51.3 or newer is needed, this is {found}")).into());
    }
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    // FULL: a commit that was answered outlives a power failure; NORMAL does not promise that
    set(&connection, "synchronous", 2)?;
    // macOS: fsync alone does not reach the disk there
    set(&connection, "fullfsync", 1)?;
    set(&connection, "checkpoint_fullfsync", 1)?;
    set(&connection, "mmap_size", 0)?;
    set(&connection, "cell_size_check", 1)?;
    set(&connection, "trusted_schema", 0)?;
    set(&connection, "temp_store", 2)?;
    // after a burst the write-ahead log is cut to this size
    set(&connection, "journal_size_limit", 64 << 20)?;
    Ok(connection)
}

fn check_owner(connection: &Connection) -> Result<(), EngineError> {
    let (owner, tables) = owner(connection)?;
    match owner {
        schema::APPLICATION_ID => {}
        0 if tables == 0 => return Err(Failure::NotProvisioned("the file is empty".into()).into()),
        _ => return Err(foreign(connection)?.into()),
    }
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Failure::NotProvisioned(format!("the journal mode is {mode}, not wal")).into());
    }
    Ok(())
}

/// The file's application id, and how many things its schema holds.
pub(crate) fn owner(connection: &Connection) -> Result<(i32, u64), EngineError> {
    let owner = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let count = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let things: i64 = connection.query_row(count, [], |row| row.get(0))?;
    Ok((owner, things.unsigned_abs()))
}

/// Says that a file belongs to somebody else, and names what it holds.
pub(crate) fn foreign(connection: &Connection) -> Result<Failure, EngineError> {
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 3")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Failure::WrongStore(format!(
        "the SQLite file belongs to another application (it holds: {}); give the log a file of its own",
        names.join(", ")
    )))
}

fn set(connection: &Connection, pragma: &str, value: i64) -> Result<(), EngineError> {
    // some pragmas answer with the new value, some do not
    connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error.into()),
    })
}
