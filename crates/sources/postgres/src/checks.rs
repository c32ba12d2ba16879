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

/// The schema, our tables in it, and the indexes that make ids and versions unique, as the catalog has them whatever
/// our rights: kind, name, whether it is what it should be, its comment, and what we may do.
const LOOK: &str = "SELECT 'schema', nspname::text, true, NULL, has_schema_privilege(oid, 'USAGE'), NULL, NULL, NULL \
     FROM pg_namespace WHERE nspname = $1 \
     UNION ALL SELECT 'table', c.relname::text, c.relkind = 'r', obj_description(c.oid, 'pg_class'), \
     has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'), \
     has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind <> 'i' \
     UNION ALL SELECT 'index', c.relname::text, \
     i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate, \
     substring(pg_get_indexdef(i.indexrelid) FROM position(' USING ' IN pg_get_indexdef(i.indexrelid)) + 1), \
     NULL, NULL, NULL, NULL \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
     JOIN pg_namespace n ON n.oid = t.relnamespace \
     WHERE n.nspname = $1 AND t.relname = 'polylog_events' AND c.relname = ANY($3)";

/// What the catalog has under our names.
#[derive(Default)]
struct Catalog {
    /// Whether the schema is there, and whether we may use it.
    usage: Option<bool>,
    tables: Vec<Found>,
    /// Indexes that are unique and whole: name, and definition from USING on.
    indexes: Vec<(String, String)>,
}

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
    let catalog = look(connection, schema).await?;
    Ok(catalog.check(schema)?)
}

/// Whether there are tables of ours; fails when there are others' under our names.
pub(crate) async fn check_ours(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<bool, EngineError> {
    let catalog = look(connection, schema).await?;
    Ok(catalog.is_ours(schema)?)
}

async fn look(connection: &mut PgConnection, schema: &SchemaName) -> Result<Catalog, EngineError> {
    let tables: Vec<&str> = schema::TABLES.iter().map(|table| table.name).collect();
    let indexes: Vec<&str> = schema::UNIQUE.iter().map(|index| index.name).collect();
    let rows = sqlx::query(LOOK)
        .persistent(false)
        .bind(schema.as_str())
        .bind(tables)
        .bind(indexes)
        .fetch_all(connection)
        .await?;
    let mut catalog = Catalog::default();
    for row in &rows {
        let (name, is_good) = (row.try_get(1)?, row.try_get(2)?);
        match row.try_get(0)? {
            "schema" => catalog.usage = row.try_get(4)?,
            "table" => {
                let may = [row.try_get(4)?, row.try_get(5)?, row.try_get(6)?, row.try_get(7)?];
                catalog.tables.push(Found { name, is_table: is_good, mark: row.try_get(3)?, may });
            }
            _ if is_good => catalog.indexes.push((name, row.try_get(3)?)),
            _ => {}
        }
    }
    Ok(catalog)
}

impl Catalog {
    fn is_ours(&self, schema: &SchemaName) -> Result<bool, Failure> {
        match self.tables.iter().find(|table| !table.is_ours()) {
            Some(foreign) => Err(foreign_table(schema, &foreign.name)),
            None => Ok(!self.tables.is_empty()),
        }
    }

    fn check(&self, schema: &SchemaName) -> Result<(), Failure> {
        let missing = |what: String| Err(Failure::NotProvisioned(what));
        let Some(usage) = self.usage else { return missing(format!("there is no schema {schema}")) };
        if !self.is_ours(schema)? {
            return missing(format!("schema {schema} holds no table of ours"));
        }
        if !usage {
            return Err(missing_right(&format!("USAGE ON SCHEMA {schema}")));
        }
        for (name, rights) in NEEDED {
            let Some(table) = self.tables.iter().find(|table| table.name == name) else {
                return missing(format!("table {name} is missing in schema {schema}"));
            };
            let lacking = table.lacking(rights);
            if !lacking.is_empty() {
                return Err(missing_right(&format!("{} ON {schema}.{name}", lacking.join(", "))));
            }
        }
        let stands = |index: &schema::Index| {
            self.indexes.iter().any(|(name, using)| name == index.name && using == index.using)
        };
        match schema::UNIQUE.iter().find(|index| !stands(index)) {
            Some(index) => missing(format!(
                "index {}, which keeps ids and versions unique, is missing, invalid or another one in schema {schema}",
                index.name
            )),
            None => Ok(()),
        }
    }
}

impl Found {
    fn is_ours(&self) -> bool {
        self.is_table && self.mark.as_deref() == Some(schema::MARK)
    }

    fn lacking(&self, needed: &[&'static str]) -> Vec<&'static str> {
        let may = RIGHTS.into_iter().zip(self.may);
        may.filter(|(right, may)| needed.contains(right) && !may).map(|(right, _)| right).collect()
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
