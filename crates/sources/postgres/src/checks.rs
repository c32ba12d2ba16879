//! What a database must be before it is used.

use polylog_log::{Failure, RefusedReason};
use sqlx::{PgConnection, Row};

use crate::{config::SchemaName, error::EngineError, schema};

/// The oldest server that this engine is tested with.
const OLDEST: i32 = 150_000;

/// What the server says of itself and of our session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) version_number: i32,
    pub(crate) version: String,
    pub(crate) encoding: String,
    pub(crate) fsync: String,
    pub(crate) synchronous_commit: String,
    pub(crate) is_standby: bool,
    pub(crate) read_only: String,
}

impl Settings {
    pub(crate) fn check(&self, allow_unsafe_durability: bool) -> Result<(), Failure> {
        let unsuitable =
            |message: String| Err(Failure::Refused { reason: RefusedReason::Unsuitable, message });
        let read_only = |message: &str| {
            Err(Failure::Refused { reason: RefusedReason::ReadOnly, message: message.into() })
        };
        if self.version_number < OLDEST {
            return unsuitable(format!("PostgreSQL 15 or newer is needed, this is {}", self.version));
        }
        if self.encoding != "UTF8" {
            return unsuitable(format!(
                "the database's encoding is {}; create one with ENCODING 'UTF8' TEMPLATE template0",
                self.encoding
            ));
        }
        if self.is_standby {
            return read_only("the server is a standby, which takes no writes; connect to its primary");
        }
        if self.read_only == "on" {
            return read_only("default_transaction_read_only is on for this server, database or role");
        }
        if allow_unsafe_durability {
            return Ok(());
        }
        let off = [("fsync", &self.fsync), ("synchronous_commit", &self.synchronous_commit)];
        match off.into_iter().find(|(_, value)| *value == "off") {
            Some((setting, _)) => unsuitable(format!(
                "{setting} is off: the server forgets what it acknowledged when the machine fails; set it to on"
            )),
            None => Ok(()),
        }
    }
}

/// Our tables as the catalog has them, whatever our rights: name, kind, comment, and what we may do.
const LOOK: &str = "SELECT c.relname, c.relkind = 'r', obj_description(c.oid, 'pg_class'), \
     has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'), \
     has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind <> 'i'";

/// How many of the indexes that make ids and versions unique are there and whole.
const INDEXES: &str = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
     JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace \
     WHERE n.nspname = $1 AND t.relname = 'polylog_events' AND c.relname = ANY($2) \
     AND i.indisunique AND i.indisvalid AND i.indisready";

/// A table of ours as the catalog has it.
struct Found {
    name: String,
    is_table: bool,
    mark: Option<String>,
    may: [bool; 4],
}

/// What an open source does with each table: what must be granted before it is used.
const NEEDED: [(&str, &[&str]); 6] = [
    ("polylog_events", &["SELECT", "INSERT"]),
    ("polylog_configs", &["SELECT", "INSERT"]),
    ("polylog_cuts", &["SELECT"]),
    ("polylog_quarantine", &["SELECT"]),
    ("polylog_leases", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_head", &["SELECT", "UPDATE"]),
];

/// In the order of the columns of [`LOOK`].
const RIGHTS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// Checks that the schema holds our tables and that we may use them.
pub(crate) async fn tables(connection: &mut PgConnection, schema: &SchemaName) -> Result<(), EngineError> {
    let usage: Option<bool> = sqlx::query_scalar(
        "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1",
    )
    .persistent(false)
    .bind(schema.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(usage) = usage else {
        return Err(Failure::NotProvisioned(format!("there is no schema {schema}")).into());
    };
    let found = find(connection, schema).await?;
    if !are_ours(schema, &found)? {
        return Err(Failure::NotProvisioned(format!("schema {schema} holds no table of ours")).into());
    }
    if !usage {
        return Err(missing_right(&format!("USAGE ON SCHEMA {schema}")).into());
    }
    for (name, rights) in NEEDED {
        let missing = || Failure::NotProvisioned(format!("table {name} is missing in schema {schema}"));
        let table = found.iter().find(|table| table.name == name).ok_or_else(missing)?;
        let lacking: Vec<&str> = RIGHTS
            .into_iter()
            .zip(table.may)
            .filter(|(right, may)| rights.contains(right) && !may)
            .map(|(right, _)| right)
            .collect();
        if !lacking.is_empty() {
            return Err(missing_right(&format!("{} ON {schema}.{name}", lacking.join(", "))).into());
        }
    }
    indexes(connection, schema).await
}

/// Whether there are tables of ours; fails when there are others' under our names.
pub(crate) async fn check_ours(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<bool, EngineError> {
    let found = find(connection, schema).await?;
    Ok(are_ours(schema, &found)?)
}

fn are_ours(schema: &SchemaName, found: &[Found]) -> Result<bool, Failure> {
    match found.iter().find(|table| !table.is_ours()) {
        Some(foreign) => Err(foreign_table(schema, &foreign.name)),
        None => Ok(!found.is_empty()),
    }
}

async fn find(connection: &mut PgConnection, schema: &SchemaName) -> Result<Vec<Found>, EngineError> {
    let names: Vec<&str> = schema::TABLES.iter().map(|table| table.name).collect();
    let rows = sqlx::query(LOOK)
        .persistent(false)
        .bind(schema.as_str())
        .bind(names)
        .fetch_all(connection)
        .await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Found {
            name: row.try_get(0)?,
            is_table: row.try_get(1)?,
            mark: row.try_get(2)?,
            may: [row.try_get(3)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?],
        })
    };
    rows.iter().map(read).collect()
}

async fn indexes(connection: &mut PgConnection, schema: &SchemaName) -> Result<(), EngineError> {
    let names: Vec<&str> = schema::UNIQUE.iter().map(|index| index.name).collect();
    let whole: i64 = sqlx::query_scalar(INDEXES)
        .persistent(false)
        .bind(schema.as_str())
        .bind(&names)
        .fetch_one(connection)
        .await?;
    if whole.unsigned_abs() == names.len() as u64 {
        return Ok(());
    }
    Err(Failure::NotProvisioned(format!(
        "an index that keeps ids and versions unique is missing or invalid in schema {schema} ({})",
        names.join(", ")
    ))
    .into())
}

impl Found {
    fn is_ours(&self) -> bool {
        self.is_table && self.mark.as_deref() == Some(schema::MARK)
    }
}

/// Says that a table under our name belongs to somebody else.
fn foreign_table(schema: &SchemaName, name: &str) -> Failure {
    Failure::WrongStore(format!(
        "{schema}.{name} belongs to another application (it lacks the comment '{}'); give the log a schema of its \
         own",
        schema::MARK
    ))
}

fn missing_right(right: &str) -> Failure {
    let message = format!("a right is missing; as owner run: GRANT {right} TO the role of this connection");
    Failure::Refused { reason: RefusedReason::Rights, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            version_number: 150_018,
            version: "15.18".into(),
            encoding: "UTF8".into(),
            fsync: "on".into(),
            synchronous_commit: "on".into(),
            is_standby: false,
            read_only: "off".into(),
        }
    }

    fn reason(settings: &Settings) -> (RefusedReason, String) {
        match settings.check(false) {
            Err(Failure::Refused { reason, message }) => (reason, message),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn each_unfit_server_is_refused_with_its_reason() {
        assert_eq!(good().check(false), Ok(()));
        let old = Settings { version_number: 140_011, version: "14.11 (Debian)".into(), ..good() };
        let (why, message) = reason(&old);
        assert_eq!(why, RefusedReason::Unsuitable);
        assert!(message.contains("15 or newer") && message.contains("14.11"), "{message}");
        let latin = Settings { encoding: "LATIN1".into(), ..good() };
        assert!(reason(&latin).1.contains("LATIN1"));
        let standby = Settings { is_standby: true, ..good() };
        assert_eq!(reason(&standby).0, RefusedReason::ReadOnly);
        let read_only = Settings { read_only: "on".into(), ..good() };
        assert_eq!(reason(&read_only).0, RefusedReason::ReadOnly);
        for forgetful in [
            Settings { fsync: "off".into(), ..good() },
            Settings { synchronous_commit: "off".into(), ..good() },
        ] {
            assert_eq!(reason(&forgetful).0, RefusedReason::Unsuitable);
            assert_eq!(forgetful.check(true), Ok(()));
        }
        let remote = Settings { synchronous_commit: "remote_apply".into(), ..good() };
        assert_eq!(remote.check(false), Ok(()));
    }
}
