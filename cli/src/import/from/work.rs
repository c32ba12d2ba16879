use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{event::Found, mapping::Mapping};
use crate::exit::Failure;

/// What was read, and how far. Everything of an import that goes on after an interruption lies here.
pub(crate) struct Work {
    folder: PathBuf,
    pub(crate) database: Connection,
}

/// What an import was begun with: another one needs another folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The database and what in it, without credentials.
    pub(crate) source: String,
    pub(crate) mapping: Mapping,
    pub(crate) renumber: bool,
}

const DATABASE: &str = "events.db";
const LINES: &str = "events.ndjson";

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL, stream TEXT NOT NULL, version INTEGER, position INTEGER,
    time INTEGER NOT NULL, line TEXT NOT NULL
);
";

impl Work {
    /// Opens a work folder, or makes it.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let shown = folder.display();
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(format!("--work {shown}: {error}"));
        fs::create_dir_all(folder).map_err(|error| usage(&error))?;
        let path = folder.join(DATABASE);
        let mut entries = fs::read_dir(folder).map_err(|error| usage(&error))?;
        if !path.exists() && entries.next().is_some() {
            return Err(usage(&"it holds something else; name a new folder"));
        }
        let database = Connection::open(path).map_err(|error| usage(&error))?;
        let opening = || {
            database.busy_timeout(Duration::ZERO)?;
            // for good: a second import in the same folder is refused
            database.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;")?;
            database.execute_batch(&format!("BEGIN EXCLUSIVE; {TABLES} COMMIT;"))
        };
        match opening() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), database }),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                Err(usage(&"another import is at work in it"))
            }
            Err(error) => Err(usage(&error)),
        }
    }

    /// Checks that what was read is of the same, or begins.
    pub(crate) fn begin(&self, begun: &Begun) -> Result<(), Failure> {
        let known: Option<Begun> = match self.state("begun")? {
            Some(text) => Some(serde_json::from_str(&text).context("the work folder")?),
            None => None,
        };
        let has_read = self.count()? > 0 || self.is_read()?;
        let Some(known) = known.filter(|_| has_read) else {
            let text = serde_json::to_string(begun).context("the work folder")?;
            return self.set_state("begun", &text);
        };
        let folder = self.folder.display();
        let other = |what: &str, was: &str| {
            Failure::Usage(format!(
                "--work {folder} was begun with another {what}: {was}; name another folder, or remove it"
            ))
        };
        if known.source != begun.source {
            return Err(other("source", &known.source));
        }
        if known.mapping != begun.mapping {
            return Err(other("mapping", &known.mapping.told()));
        }
        if known.renumber != begun.renumber {
            return Err(other("--renumber", if known.renumber { "with it" } else { "without it" }));
        }
        Ok(())
    }

    /// Keeps which field holds what. An import that goes on must find the same.
    pub(crate) fn keep_mapping(&self, mapping: &Mapping) -> Result<(), Failure> {
        let text = serde_json::to_string(mapping).context("the work folder")?;
        if self.state("mapping")?.is_some_and(|known| known != text) && self.count()? > 0 {
            let folder = self.folder.display();
            let words =
                format!("the source's fields have changed since --work {folder} was begun: remove it");
            return Err(Failure::Usage(words));
        }
        self.set_state("mapping", &text)
    }

    /// Up to where the source was read.
    pub(crate) fn cursor(&self) -> Result<Option<String>, Failure> {
        self.state("cursor")
    }

    /// Whether all of the source was read.
    pub(crate) fn is_read(&self) -> Result<bool, Failure> {
        Ok(self.state("read")?.is_some())
    }

    pub(crate) fn now_read(&self) -> Result<(), Failure> {
        self.set_state("read", "1")
    }

    /// Takes events and up to where the source was read, both or neither.
    pub(crate) fn add(&mut self, events: &[Found], cursor: Option<&str>) -> Result<(), Failure> {
        let adding = |database: &mut Connection| {
            let transaction = database.transaction()?;
            let insert =
                "INSERT INTO events (id, stream, version, position, time, line) VALUES (?, ?, ?, ?, ?, ?)";
            for event in events {
                transaction.prepare_cached(insert)?.execute(params![
                    event.id.as_bytes(),
                    event.stream,
                    event.version.map(|version| i64::try_from(version).unwrap_or(i64::MAX)),
                    event.position,
                    event.time.as_micros(),
                    event.line
                ])?;
            }
            if let Some(cursor) = cursor {
                transaction.execute("INSERT OR REPLACE INTO state VALUES ('cursor', ?)", [cursor])?;
            }
            transaction.commit()
        };
        adding(&mut self.database).map_err(damaged)
    }

    /// Forgets what was read.
    pub(crate) fn forget_events(&self) -> Result<(), Failure> {
        let forget = "BEGIN; DELETE FROM events; DELETE FROM state WHERE name IN ('cursor', 'read'); COMMIT;";
        self.database.execute_batch(forget).map_err(damaged)
    }

    /// Forgets everything: the folder is as new.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        self.database.execute_batch("BEGIN; DELETE FROM events; DELETE FROM state; COMMIT;").map_err(damaged)
    }

    /// How many events were read.
    pub(crate) fn count(&self) -> Result<u64, Failure> {
        let count = self.database.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0));
        count.map(i64::cast_unsigned).map_err(damaged)
    }

    /// The lines to be imported.
    pub(crate) fn lines(&self) -> PathBuf {
        self.folder.join(LINES)
    }

    fn state(&self, name: &str) -> Result<Option<String>, Failure> {
        let select = "SELECT value FROM state WHERE name = ?";
        self.database.query_row(select, [name], |row| row.get(0)).optional().map_err(damaged)
    }

    fn set_state(&self, name: &str, value: &str) -> Result<(), Failure> {
        let insert = "INSERT OR REPLACE INTO state VALUES (?, ?)";
        self.database.execute(insert, [name, value]).map(drop).map_err(damaged)
    }
}

/// The work folder cannot be read or written.
pub(crate) fn damaged(error: rusqlite::Error) -> Failure {
    Failure::Failed(anyhow::Error::new(error).context("the work folder"))
}
