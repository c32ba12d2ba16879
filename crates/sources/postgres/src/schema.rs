//! The tables and indexes, declared once: what provisioning creates and compares, and what every statement names.

use polylog_log::IndexOptions;

use crate::config::SchemaName;

/// The comment on each table of ours, so that no other application's table is taken for one.
pub(crate) const MARK: &str = "polylog: format 1";

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// As PostgreSQL itself writes it.
    pub(crate) kind: &'static str,
    pub(crate) required: bool,
}

/// A table; `constraint` is what stands after its columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) constraint: &'static str,
}

/// An index on the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) is_unique: bool,
    /// As PostgreSQL itself writes it, from USING on.
    pub(crate) using: &'static str,
}

const NUMBER: &str = "bigint";
const ID: &str = "uuid";
const BYTES: &str = "bytea";
/// Compared byte by byte, whatever the database's locale.
const TEXT: &str = "text COLLATE \"C\"";

const fn required(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, required: true }
}

const fn optional(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, required: false }
}

/// What a row of an event holds, in the order of [`crate::rows`]: numbers first, which need no padding there, and the
/// large ones last. Times are microseconds since 1970. Data and metadata are bytes: `json` would refuse legal JSON that
/// is nested deeply, and other content.
macro_rules! event_columns {
    ($($before:expr),*) => {
        &[
            $($before,)*
            required("position", NUMBER),
            required("first", NUMBER),
            required("last", NUMBER),
            required("term", NUMBER),
            required("version", NUMBER),
            required("recorded_at", NUMBER),
            required("time", NUMBER),
            required("id", ID),
            required("commit_id", ID),
            required("stream", TEXT),
            required("category", TEXT),
            required("aggregate_id", TEXT),
            required("type", TEXT),
            optional("fingerprint", BYTES),
            required("digest", BYTES),
            required("chain", BYTES),
            required("data_digest", BYTES),
            required("content_type", TEXT),
            optional("correlation_id", TEXT),
            optional("causation_id", TEXT),
            optional("metadata", BYTES),
            optional("data", BYTES),
        ]
    };
}

/// One row, number 0: where the log stands. Narrow, because every append writes it anew.
pub(crate) const HEAD: Table = Table {
    name: "polylog_head",
    columns: &[
        required("lane", NUMBER),
        required("format", NUMBER),
        required("log", ID),
        required("database", ID),
        required("incarnation", ID),
        required("term", NUMBER),
        optional("granted", ID),
        required("lead", NUMBER),
        required("tail_position", NUMBER),
        required("tail_term", NUMBER),
        required("tail_chain", BYTES),
        required("recorded_at", NUMBER),
        required("config_position", NUMBER),
        required("stable", NUMBER),
        required("acked", NUMBER),
        required("cuts", NUMBER),
        required("revision", NUMBER),
    ],
    constraint: "PRIMARY KEY (lane)",
};

/// The log.
pub(crate) const EVENTS: Table =
    Table { name: "polylog_events", columns: event_columns!(), constraint: "PRIMARY KEY (position)" };

/// Every configuration that the log put in force, by position; zero = the implicit one.
pub(crate) const CONFIGS: Table = Table {
    name: "polylog_configs",
    columns: &[required("position", NUMBER), required("content", TEXT)],
    constraint: "PRIMARY KEY (position)",
};

/// The truncations.
pub(crate) const CUTS: Table = Table {
    name: "polylog_cuts",
    columns: &[
        required("number", NUMBER),
        required("keep_position", NUMBER),
        required("keep_term", NUMBER),
        required("keep_chain", BYTES),
        required("removed_position", NUMBER),
        required("removed_term", NUMBER),
        required("removed_chain", BYTES),
        required("term", NUMBER),
    ],
    constraint: "PRIMARY KEY (number)",
};

/// The rows that truncations removed.
pub(crate) const QUARANTINE: Table = Table {
    name: "polylog_quarantine",
    columns: event_columns!(required("cut", NUMBER)),
    constraint: "PRIMARY KEY (cut, \"position\")",
};

/// Who does what.
pub(crate) const LEASES: Table = Table {
    name: "polylog_leases",
    columns: &[required("name", TEXT), required("holder", TEXT), required("beat", NUMBER)],
    constraint: "PRIMARY KEY (name)",
};

/// In the order in which they are created: the head last, so that a schema without one is not provisioned.
pub(crate) const TABLES: [Table; 6] = [EVENTS, CONFIGS, CUTS, QUARANTINE, LEASES, HEAD];

/// What makes an append without lookups sound: a source does not open without them.
pub(crate) const UNIQUE: [Index; 3] = [
    Index { name: "polylog_events_stream_version", is_unique: true, using: "USING btree (stream, version)" },
    Index { name: "polylog_events_id", is_unique: true, using: "USING btree (id)" },
    Index {
        name: "polylog_events_commit_id",
        is_unique: true,
        using: "USING btree (commit_id) WHERE (\"position\" = first)",
    },
];

const OTHERS: [Index; 2] = [
    Index {
        name: "polylog_events_category",
        is_unique: false,
        using: "USING btree (category, \"position\")",
    },
    Index {
        name: "polylog_events_correlation_id",
        is_unique: false,
        using: "USING btree (correlation_id, \"position\") WHERE (correlation_id IS NOT NULL)",
    },
];

const TYPE: Index =
    Index { name: "polylog_events_type", is_unique: false, using: "USING btree (type, \"position\")" };

const AGGREGATE_ID: Index = Index {
    name: "polylog_events_aggregate_id",
    is_unique: false,
    using: "USING btree (aggregate_id, \"position\")",
};

/// The indexes that a log with these options has.
pub(crate) fn indexes(options: IndexOptions) -> Vec<Index> {
    let mut indexes: Vec<Index> = UNIQUE.into_iter().chain(OTHERS).collect();
    indexes.extend(options.event_type.then_some(TYPE));
    indexes.extend(options.aggregate_id.then_some(AGGREGATE_ID));
    indexes
}

impl Table {
    /// Its name with its schema.
    pub(crate) fn in_schema(&self, schema: &SchemaName) -> String {
        format!("{schema}.{}", self.name)
    }

    /// The statements that create and mark it.
    pub(crate) fn definition(&self, schema: &SchemaName) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| format!("    {column}")).collect();
        let (name, constraint) = (self.in_schema(schema), self.constraint);
        let columns = columns.join(",\n");
        format!(
            "CREATE TABLE {name} (\n{columns},\n    {constraint}\n);\nCOMMENT ON TABLE {name} IS '{MARK}'"
        )
    }
}

impl Index {
    /// The statement that creates it; `concurrently` = without holding up writers, and outside a transaction.
    pub(crate) fn definition(&self, schema: &SchemaName, concurrently: bool) -> String {
        let unique = if self.is_unique { "UNIQUE " } else { "" };
        let how = if concurrently { "CONCURRENTLY " } else { "" };
        let (name, table, using) = (self.name, EVENTS.in_schema(schema), self.using);
        format!("CREATE {unique}INDEX {how}{name} ON {table} {using}")
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\" {}{}", self.name, self.kind, if self.required { " NOT NULL" } else { "" })
    }
}
