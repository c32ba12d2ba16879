use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use polylog_log::Failure;
use rusqlite::{Connection, OpenFlags};

use crate::{
    SqliteConfig,
    append::Known,
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
    /// The file that was opened first; no other one is ever taken for it.
    file: Arc<OnceLock<FileId>>,
    /// A test stopped this handle.
    crashed: Arc<AtomicBool>,
}

impl Handle {
    pub(crate) fn new(config: SqliteConfig) -> Self {
        Self { config, file: Arc::default(), crashed: Arc::default() }
    }
}

/// A place for one connection; opens it when needed, and again after an error that broke it.
pub(crate) struct Slot {
    handle: Handle,
    role: Role,
    open: Option<Connection>,
    known: Known,
}

impl Slot {
    pub(crate) fn new(handle: &Handle, role: Role) -> Self {
        Self { handle: handle.clone(), role, open: None, known: Known::default() }
    }

    /// How long SQLite waits for a lock.
    pub(crate) fn patience(&self) -> Duration {
        self.handle.config.busy_timeout
    }

    /// The connection to the file that was opened first, if the path still leads to it.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, EngineError> {
        if self.handle.crashed.load(Ordering::Acquire) {
            return Err(EngineError::Crashed);
        }
        // a file without a name lives on while it is open: what is written to it is lost
        let is_current = FileId::of(&self.handle.config.path).as_ref() == self.handle.file.get();
        if !is_current {
            self.open = None;
        }
        match self.open.take() {
            Some(connection) => Ok(self.open.insert(connection)),
            None => Ok(self.open.insert(open(&self.handle, self.role)?)),
        }
    }

    /// Gives the connection up if `error` broke it, or if it is still in a transaction.
    pub(crate) fn settle(&mut self, error: Option<&EngineError>) {
        if matches!(error, Some(EngineError::Crashed)) {
            self.handle.crashed.store(true, Ordering::Release);
        }
        let is_broken = error.is_some_and(EngineError::breaks_connection);
        let is_stuck = self.open.as_ref().is_some_and(|connection| !connection.is_autocommit());
        if is_broken || is_stuck {
            self.open = None;
        }
    }

    /// The fail points, for one operation.
    pub(crate) fn faults(&self) -> Faults {
        Faults::new(self.handle.config.fail_points.clone())
    }

    /// Gives the connection up.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// What the last append knew, to be put back when the next one is done.
    pub(crate) fn take_known(&mut self) -> Known {
        std::mem::take(&mut self.known)
    }

    /// See [`Slot::take_known`].
    pub(crate) fn put_known(&mut self, known: Known) {
        self.known = known;
    }

    /// Gives what is cached back; the next operations read it again.
    pub(crate) fn shrink(&mut self) {
        self.known = Known::default();
        let shrunk = self.open.as_ref().map(Connection::release_memory);
        if shrunk.is_some_and(|result| result.is_err()) {
            self.open = None;
        }
    }
}

fn open(handle: &Handle, role: Role) -> Result<Connection, EngineError> {
    let config = &handle.config;
    let missing = || Failure::NotProvisioned(format!("there is no file {}", config.path.display()));
    if file::look(&config.path)? == Found::Nothing {
        return Err(missing().into());
    }
    let found = FileId::of(&config.path).ok_or_else(missing)?;
    if *handle.file.get_or_init(|| found) != found {
        return Err(replaced(&config.path).into());
    }
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
    if FileId::of(&config.path) != Some(found) {
        return Err(replaced(&config.path).into());
    }
    Ok(connection)
}

/// The write-ahead log beside the path may belong to the old file: SQLite would play it into the new one.
fn replaced(path: &Path) -> Failure {
    Failure::NotProvisioned(format!(
        "{} was replaced while it was open: stop every process that uses it, put it back together with its -wal \
         file or remove that one, and start again",
        path.display()
    ))
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
