//! What a schema must hold before it is used.

use polylog_log::{Failure, RefusedReason};
use polylog_source_servers::rights::{ALL, NEEDED};
use sqlx::{PgConnection, Row};

use crate::{config::SchemaName, error::EngineError, schema};

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
pub(crate) struct Catalog {
    /// Whether the schema is there, and whether we may use it.
    pub(crate) usage: Option<bool>,
    pub(crate) tables: Vec<Found>,
    /// Indexes that are unique and whole: name, and definition from USING on.
    indexes: Vec<(String, String)>,
}

/// A table of ours as the catalog has it.
pub(crate) struct Found {
    pub(crate) name: String,
    is_table: bool,
    mark: Option<String>,
    may: [bool; 4],
}

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

/// What the catalog has under our names.
pub(crate) async fn look(connection: &mut PgConnection, schema: &SchemaName) -> Result<Catalog, EngineError> {
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
    /// Whether there are tables of ours; fails when there are others' under our names.
    pub(crate) fn is_ours(&self, schema: &SchemaName) -> Result<bool, Failure> {
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
        match self.missing_indexes().first() {
            Some(index) => Err(missing_index(schema, index)),
            None => Ok(()),
        }
    }

    /// The indexes that keep ids and versions unique, as far as they are not there as they should be.
    pub(crate) fn missing_indexes(&self) -> Vec<schema::Index> {
        let stands = |index: &schema::Index| {
            self.indexes.iter().any(|(name, using)| name == index.name && using == index.using)
        };
        schema::UNIQUE.into_iter().filter(|index| !stands(index)).collect()
    }
}

impl Found {
    fn is_ours(&self) -> bool {
        self.is_table && self.mark.as_deref() == Some(schema::MARK)
    }

    fn lacking(&self, needed: &[&'static str]) -> Vec<&'static str> {
        needed.iter().copied().filter(|right| !self.rights().contains(right)).collect()
    }

    /// What we may do with it: in the order of the columns of [`LOOK`].
    pub(crate) fn rights(&self) -> Vec<&'static str> {
        ALL.into_iter().zip(self.may).filter(|(_, may)| *may).map(|(right, _)| right).collect()
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

/// Says that an index is not there as it should be.
pub(crate) fn missing_index(schema: &SchemaName, index: &schema::Index) -> Failure {
    Failure::NotProvisioned(format!(
        "index {}, which keeps ids and versions unique, is missing, invalid or another one in schema {schema}",
        index.name
    ))
}

fn missing_right(right: &str) -> Failure {
    let message = format!("a right is missing; as owner run: GRANT {right} TO the role of this connection");
    Failure::Refused { reason: RefusedReason::Rights, message }
}
