//! The tables and indexes, declared once: what provisioning creates and compares, and what every statement names. In a
//! database their names begin with the prefix of its [`Tables`].

use polylog_log::IndexOptions;

use crate::{dialect, tables::Tables};

/// The comment on each table of ours, so that no other application's table is taken for one.
pub(crate) const MARK: &str = "polylog: format 1";

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// As the catalog writes it, with its collation.
    pub(crate) kind: &'static str,
    pub(crate) required: bool,
}

/// A table and the columns of its primary key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) key: &'static str,
}

/// An index on the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) is_unique: bool,
    /// In order, with a comma between.
    pub(crate) columns: &'static str,
}

const NUMBER: &str = "bigint";
/// Ids and digests.
const BYTES16: &str = "binary(16)";
const BYTES32: &str = "binary(32)";
/// Names and the like, of 200 bytes at most: bytes, because collations take texts for equal that differ in case, accents
/// or spaces at their end.
const NAME: &str = "varbinary(255)";
const BLOB: &str = "longblob";
const TEXT: &str = "longtext COLLATE utf8mb4_bin";

const fn required(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, required: true }
}

const fn optional(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, required: false }
}

/// What a row of an event holds, in the order of [`crate::rows`]. Times are microseconds since 1970.
macro_rules! event_columns {
    ([$($before:expr),*], [$($after:expr),*]) => {
        &[
            $($before,)*
            required("position", NUMBER),
            required("first", NUMBER),
            required("last", NUMBER),
            required("term", NUMBER),
            required("version", NUMBER),
            required("recorded_at", NUMBER),
            required("time", NUMBER),
            required("id", BYTES16),
            required("commit_id", BYTES16),
            required("stream", NAME),
            required("category", NAME),
            required("aggregate_id", NAME),
            required("type", NAME),
            optional("fingerprint", BYTES16),
            required("digest", BYTES16),
            required("chain", BYTES16),
            required("data_digest", BYTES32),
            required("content_type", NAME),
            optional("correlation_id", NAME),
            optional("causation_id", NAME),
            optional("metadata", BLOB),
            optional("data", BLOB),
            $($after,)*
        ]
    };
}

/// One row, number 0: where the log stands. Narrow, because every append writes it anew.
pub(crate) const HEAD: Table = Table {
    name: "polylog_head",
    columns: &[
        required("lane", NUMBER),
        required("format", NUMBER),
        required("log", BYTES16),
        required("database", BYTES16),
        required("incarnation", BYTES16),
        required("term", NUMBER),
        optional("granted", BYTES16),
        required("lead", NUMBER),
        required("tail_position", NUMBER),
        required("tail_term", NUMBER),
        required("tail_chain", BYTES16),
        required("recorded_at", NUMBER),
        required("config_position", NUMBER),
        required("stable", NUMBER),
        required("acked", NUMBER),
        required("cuts", NUMBER),
        required("revision", NUMBER),
    ],
    key: "`lane`",
};

/// The log. The last column is the commit's id on its first event and NULL on the others, which makes a unique index on
/// commits: there are no indexes on a part of the rows.
pub(crate) const EVENTS: Table = Table {
    name: "polylog_events",
    columns: event_columns!([], [optional("commit_key", BYTES16)]),
    key: "`position`",
};

/// Every configuration that the log put in force, by position; zero = the implicit one.
pub(crate) const CONFIGS: Table = Table {
    name: "polylog_configs",
    columns: &[required("position", NUMBER), required("content", TEXT)],
    key: "`position`",
};

/// The truncations.
pub(crate) const CUTS: Table = Table {
    name: "polylog_cuts",
    columns: &[
        required("number", NUMBER),
        required("keep_position", NUMBER),
        required("keep_term", NUMBER),
        required("keep_chain", BYTES16),
        required("removed_position", NUMBER),
        required("removed_term", NUMBER),
        required("removed_chain", BYTES16),
        required("term", NUMBER),
    ],
    key: "`number`",
};

/// The rows that truncations removed.
pub(crate) const QUARANTINE: Table = Table {
    name: "polylog_quarantine",
    columns: event_columns!([required("cut", NUMBER)], []),
    key: "`cut`, `position`",
};

/// Who does what.
pub(crate) const LEASES: Table = Table {
    name: "polylog_leases",
    columns: &[required("name", NAME), required("holder", BLOB), required("beat", NUMBER)],
    key: "`name`",
};

/// In the order in which they are created: the head last, so that a database without one is not provisioned.
pub(crate) const TABLES: [Table; 6] = [EVENTS, CONFIGS, CUTS, QUARANTINE, LEASES, HEAD];

/// What makes an append without lookups sound: a source does not open without them.
pub(crate) const UNIQUE: [Index; 3] = [
    Index { name: "polylog_events_stream_version", is_unique: true, columns: "stream, version" },
    Index { name: "polylog_events_id", is_unique: true, columns: "id" },
    Index { name: "polylog_events_commit_id", is_unique: true, columns: "commit_key" },
];

const OTHERS: [Index; 2] = [
    Index { name: "polylog_events_category", is_unique: false, columns: "category, position" },
    Index { name: "polylog_events_correlation_id", is_unique: false, columns: "correlation_id, position" },
];

const TYPE: Index = Index { name: "polylog_events_type", is_unique: false, columns: "type, position" };

const AGGREGATE_ID: Index =
    Index { name: "polylog_events_aggregate_id", is_unique: false, columns: "aggregate_id, position" };

/// The indexes that a log with these options has.
pub(crate) fn indexes(options: IndexOptions) -> Vec<Index> {
    let mut indexes: Vec<Index> = UNIQUE.into_iter().chain(OTHERS).collect();
    indexes.extend(options.event_type.then_some(TYPE));
    indexes.extend(options.aggregate_id.then_some(AGGREGATE_ID));
    indexes
}

impl Table {
    /// The statement that creates and marks it. Its engine has transactions, whatever the server's default is.
    pub(crate) fn definition(&self, tables: &Tables) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| format!("    {column}")).collect();
        let (name, key, columns) = (tables.qualified(self.name), self.key, columns.join(",\n"));
        format!(
            "CREATE TABLE {name} (\n{columns},\n    PRIMARY KEY ({key})\n) ENGINE=InnoDB ROW_FORMAT=DYNAMIC \
             DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='{MARK}'"
        )
    }
}

impl Index {
    /// The statement that creates it; `online` = fail rather than hold up writers.
    pub(crate) fn definition(&self, tables: &Tables, online: bool) -> String {
        let unique = if self.is_unique { "UNIQUE " } else { "" };
        let how = if online { dialect::ONLINE } else { "" };
        let (name, table, columns) = (tables.named(self.name), tables.qualified(EVENTS.name), self.columns);
        let columns: Vec<String> = columns.split(", ").map(|column| format!("`{column}`")).collect();
        format!("CREATE {unique}INDEX {name} ON {table} ({}){how}", columns.join(", "))
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}{}", self.name, self.kind, if self.required { " NOT NULL" } else { " NULL" })
    }
}
