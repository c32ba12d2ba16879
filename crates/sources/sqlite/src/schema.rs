//! The tables and indexes, declared once: what provisioning creates and compares, and what every statement names.

use polylog_log::Failure;
use rusqlite::{Connection, OptionalExtension};

use crate::{error::EngineError, provision::IndexOptions};

/// Marks a file as a log of ours ("plog"), so that no other application's file is taken for one, and the reverse.
pub(crate) const APPLICATION_ID: i32 = 0x706c_6f67;

/// Makes commits append to a log beside the file, so that readers and the writer do not wait for each other.
pub(crate) const WAL: &str = "PRAGMA journal_mode = WAL";

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) required: bool,
}

/// A table; `constraint` is what stands after its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) constraint: &'static str,
    pub(crate) options: &'static str,
}

/// An index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) definition: &'static str,
}

const fn required(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, required: true }
}

const fn optional(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, required: false }
}

/// What a row of an event holds besides its position, in the order of [`crate::rows`]. The large ones stand last:
/// SQLite then reads the others without following a chain of overflow pages.
macro_rules! event_columns {
    ($($before:expr),*) => {
        &[
            $($before,)*
            required("first", "INTEGER"),
            required("last", "INTEGER"),
            required("term", "INTEGER"),
            required("stream", "TEXT"),
            required("version", "INTEGER"),
            required("category", "TEXT"),
            required("aggregate_id", "TEXT"),
            required("id", "BLOB"),
            required("type", "TEXT"),
            required("commit_id", "BLOB"),
            optional("fingerprint", "BLOB"),
            required("digest", "BLOB"),
            required("chain", "BLOB"),
            required("data_digest", "BLOB"),
            required("recorded_at", "INTEGER"),
            required("time", "INTEGER"),
            required("content_type", "TEXT"),
            optional("correlation_id", "TEXT"),
            optional("causation_id", "TEXT"),
            optional("metadata", "BLOB"),
            optional("data", "BLOB"),
        ]
    };
}

/// One row, number 0: where the log stands.
pub(crate) const HEAD: Table = Table {
    name: "polylog_head",
    columns: &[
        optional("lane", "INTEGER"),
        required("format", "INTEGER"),
        required("log", "BLOB"),
        required("database", "BLOB"),
        required("incarnation", "BLOB"),
        required("term", "INTEGER"),
        optional("granted", "BLOB"),
        required("lead", "INTEGER"),
        required("tail_position", "INTEGER"),
        required("tail_term", "INTEGER"),
        required("tail_chain", "BLOB"),
        required("recorded_at", "INTEGER"),
        required("config_position", "INTEGER"),
        required("stable", "INTEGER"),
        required("acked", "INTEGER"),
        required("cuts", "INTEGER"),
        required("revision", "INTEGER"),
    ],
    constraint: "PRIMARY KEY (lane)",
    options: "STRICT",
};

/// The log. A rowid table: events arrive in the order of their positions, at the right edge of the tree, and large rows
/// keep their payload out of the inner pages.
pub(crate) const EVENTS: Table = Table {
    name: "polylog_events",
    columns: event_columns!(optional("position", "INTEGER")),
    constraint: "PRIMARY KEY (position)",
    options: "STRICT",
};

/// Every configuration that the log put in force, by position; zero = the implicit one.
pub(crate) const CONFIGS: Table = Table {
    name: "polylog_configs",
    columns: &[optional("position", "INTEGER"), required("content", "TEXT")],
    constraint: "PRIMARY KEY (position)",
    options: "STRICT",
};

/// The truncations.
pub(crate) const CUTS: Table = Table {
    name: "polylog_cuts",
    columns: &[
        optional("number", "INTEGER"),
        required("keep_position", "INTEGER"),
        required("keep_term", "INTEGER"),
        required("keep_chain", "BLOB"),
        required("removed_position", "INTEGER"),
        required("removed_term", "INTEGER"),
        required("removed_chain", "BLOB"),
        required("term", "INTEGER"),
    ],
    constraint: "PRIMARY KEY (number)",
    options: "STRICT",
};

/// The rows that truncations removed.
pub(crate) const QUARANTINE: Table = Table {
    name: "polylog_quarantine",
    columns: event_columns!(required("cut", "INTEGER"), required("position", "INTEGER")),
    constraint: "PRIMARY KEY (cut, position)",
    options: "STRICT",
};

/// Who does what; small and often rewritten, hence one tree instead of two.
pub(crate) const LEASES: Table = Table {
    name: "polylog_leases",
    columns: &[required("name", "TEXT"), required("holder", "TEXT"), required("beat", "INTEGER")],
    constraint: "PRIMARY KEY (name)",
    options: "STRICT, WITHOUT ROWID",
};

/// In the order in which they are created: the head last, so that a file without one is not provisioned.
pub(crate) const TABLES: [Table; 6] = [EVENTS, CONFIGS, CUTS, QUARANTINE, LEASES, HEAD];

/// Every index ends in the rowid, the position, without naming it: `(category)` is `(category, position)`.
const ALWAYS: [Index; 5] = [
    Index {
        name: "polylog_events_stream_version",
        definition: "CREATE UNIQUE INDEX polylog_events_stream_version ON polylog_events (stream, version)",
    },
    Index {
        name: "polylog_events_id",
        definition: "CREATE UNIQUE INDEX polylog_events_id ON polylog_events (id)",
    },
    Index {
        name: "polylog_events_commit_id",
        definition: "CREATE UNIQUE INDEX polylog_events_commit_id ON polylog_events (commit_id) \
                     WHERE position = first",
    },
    Index {
        name: "polylog_events_category",
        definition: "CREATE INDEX polylog_events_category ON polylog_events (category)",
    },
    Index {
        name: "polylog_events_correlation_id",
        definition: "CREATE INDEX polylog_events_correlation_id ON polylog_events (correlation_id) \
                     WHERE correlation_id IS NOT NULL",
    },
];

const TYPE: Index = Index {
    name: "polylog_events_type",
    definition: "CREATE INDEX polylog_events_type ON polylog_events (type)",
};

const AGGREGATE_ID: Index = Index {
    name: "polylog_events_aggregate_id",
    definition: "CREATE INDEX polylog_events_aggregate_id ON polylog_events (aggregate_id)",
};

/// The indexes that a log with these options has.
pub(crate) fn indexes(options: IndexOptions) -> Vec<Index> {
    let mut indexes = ALWAYS.to_vec();
    indexes.extend(options.event_type.then_some(TYPE));
    indexes.extend(options.aggregate_id.then_some(AGGREGATE_ID));
    indexes
}

/// Checks that the indexes are there which refuse a second event or commit with an id, and a second event at a version:
/// appends leave it to them to find what is there already.
pub(crate) fn check_unique(connection: &Connection) -> Result<(), EngineError> {
    let mut look = connection.prepare("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?1")?;
    for index in ALWAYS.iter().filter(|index| index.definition.starts_with("CREATE UNIQUE")) {
        let found: Option<String> = look.query_row([index.name], |row| row.get(0)).optional()?;
        if found.as_deref() != Some(index.definition) {
            let name = index.name;
            let message = format!(
                "the index {name} is {}; `polylog plan` shows what makes it right, `polylog dev` does it",
                if found.is_some() { "not what it must be" } else { "missing" },
            );
            return Err(Failure::NotProvisioned(message).into());
        }
    }
    Ok(())
}

/// Changes with every change of tables and indexes, by whomever.
pub(crate) fn version(connection: &Connection) -> Result<i64, EngineError> {
    Ok(connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))?)
}

impl Table {
    /// The statement that creates it.
    pub(crate) fn definition(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| format!("    {column}")).collect();
        let Self { name, constraint, options, .. } = self;
        format!("CREATE TABLE {name} (\n{},\n    {constraint}\n) {options}", columns.join(",\n"))
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}{}", self.name, self.kind, if self.required { " NOT NULL" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(file: &Connection, statement: &str) -> String {
        let mut plan = file.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect("a statement");
        let lines = plan.raw_query().mapped(|row| row.get::<_, String>(3));
        lines.collect::<Result<Vec<_>, _>>().expect("a plan").join("; ")
    }

    #[test]
    fn every_lookup_goes_by_its_index_without_sorting() {
        let file = Connection::open_in_memory().expect("a database");
        for table in &TABLES {
            file.execute_batch(&table.definition()).expect("a table");
        }
        for index in indexes(IndexOptions { event_type: true, aggregate_id: true }) {
            file.execute_batch(index.definition).expect("an index");
        }
        let by = |index: &str, which: &str| {
            format!("SEARCH polylog_events USING INDEX polylog_events_{index} ({which})")
        };
        let cases = [
            ("WHERE commit_id = ? AND position = first", by("commit_id", "commit_id=?")),
            (
                "WHERE stream = ? AND version >= ? ORDER BY version",
                by("stream_version", "stream=? AND version>?"),
            ),
            (
                "WHERE stream = ? AND version <= ? ORDER BY version DESC",
                by("stream_version", "stream=? AND version<?"),
            ),
            ("WHERE stream = ? ORDER BY version DESC LIMIT 1", by("stream_version", "stream=?")),
            ("WHERE id = ?", by("id", "id=?")),
            (
                "WHERE category = ? AND position BETWEEN ? AND ? ORDER BY position DESC",
                by("category", "category=? AND rowid>? AND rowid<?"),
            ),
            ("WHERE correlation_id = ? ORDER BY position", by("correlation_id", "correlation_id=?")),
            ("WHERE type = ? AND position > ? ORDER BY position", by("type", "type=? AND rowid>?")),
            ("WHERE aggregate_id = ? ORDER BY position", by("aggregate_id", "aggregate_id=?")),
        ];
        for (condition, expected) in cases {
            let statement = format!("SELECT data FROM polylog_events {condition}");
            let plan = plan_of(&file, &statement);
            // where the index holds all that is asked for, SQLite says COVERING INDEX
            assert_eq!(plan, expected, "{condition}");
        }
        let quarantine =
            plan_of(&file, "SELECT data FROM polylog_quarantine WHERE cut > ? ORDER BY cut, position");
        assert!(quarantine.starts_with("SEARCH") && !quarantine.contains("TEMP"), "{quarantine}");
    }
}
