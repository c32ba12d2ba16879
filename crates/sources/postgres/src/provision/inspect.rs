use std::collections::BTreeMap;

use polylog_log::{DatabaseId, FORMAT, Failure, Identity, Incarnation, LogId};
use polylog_source_servers::rights::TableRights;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::{Actual, Granted, Inventory, Place, StoredColumn, StoredIndex};
use crate::{
    PostgresConfig, checks,
    connection::connect,
    error::{EngineError, Patience},
    rows::number,
    schema::{self, Table},
};

const COLUMNS: &str = "SELECT c.relname, a.attname::text, format_type(a.atttypid, a.atttypmod) \
     || CASE WHEN a.attcollation <> 0 THEN ' COLLATE \"' || l.collname || '\"' ELSE '' END, a.attnotnull \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     LEFT JOIN pg_collation l ON l.oid = a.attcollation \
     WHERE n.nspname = $1 AND c.relname = ANY($2) ORDER BY c.relname, a.attnum";

const INDEXES: &str = "SELECT c.relname, i.indisunique, \
     substring(pg_get_indexdef(i.indexrelid) FROM position(' USING ' IN pg_get_indexdef(i.indexrelid)) + 1), \
     i.indisvalid AND i.indisready \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
     JOIN pg_namespace n ON n.oid = t.relnamespace \
     WHERE n.nspname = $1 AND t.relname = 'polylog_events' AND NOT i.indisprimary";

const GRANTED: &str = "SELECT c.relname, r.name, has_table_privilege($3, c.oid, r.name) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) r(name) \
     WHERE n.nspname = $1 AND c.relname = ANY($2)";

/// How long provisioning is waited for, at most.
pub(super) fn patience(config: &PostgresConfig) -> Patience {
    Patience { lock: config.lock_timeout, statement: config.statement_timeout }
}

/// Looks at what is in the schema; changes nothing. `config` has the credential that provisions.
pub async fn inspect(config: &PostgresConfig, place: &Place) -> Result<Actual, Failure> {
    look(config, place).await.map_err(|error| error.failure(patience(config)))
}

async fn look(config: &PostgresConfig, place: &Place) -> Result<Actual, EngineError> {
    let mut connection = connect(config, config.statement_timeout).await?;
    let connection = &mut connection;
    let schema: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_namespace WHERE nspname = $1")
        .bind(place.schema.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    check_role(connection, place).await?;
    if schema.is_none() {
        return Ok(Actual::Absent);
    }
    if !checks::check_ours(connection, &place.schema).await? {
        return Ok(Actual::Empty);
    }
    let tables = tables(connection, place).await?;
    let has = |table: &Table| tables.contains_key(table.name);
    let (format, identity) = match has(&schema::HEAD) {
        true => stored(connection, place).await?.unzip(),
        false => (None, None),
    };
    let events = if has(&schema::EVENTS) { events(connection, place).await? } else { 0 };
    let indexes = indexes(connection, place).await?;
    let granted = granted(connection, place).await?;
    Ok(Actual::Ours(Inventory { identity, format, events, tables, indexes, granted }))
}

async fn check_role(connection: &mut PgConnection, place: &Place) -> Result<(), EngineError> {
    let Some(role) = &place.role else { return Ok(()) };
    let found: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_roles WHERE rolname = $1")
        .bind(role.as_str())
        .fetch_optional(connection)
        .await?;
    let missing = || Failure::NotProvisioned(format!("there is no role {role}; create it first"));
    found.map(|_| ()).ok_or_else(|| missing().into())
}

fn names() -> Vec<&'static str> {
    schema::TABLES.iter().map(|table| table.name).collect()
}

async fn tables(
    connection: &mut PgConnection,
    place: &Place,
) -> Result<BTreeMap<String, Vec<StoredColumn>>, EngineError> {
    let rows = sqlx::query(COLUMNS).bind(place.schema.as_str()).bind(names()).fetch_all(connection).await?;
    let mut tables: BTreeMap<String, Vec<StoredColumn>> = BTreeMap::new();
    for row in &rows {
        let column = StoredColumn { name: row.try_get(1)?, kind: row.try_get(2)?, required: row.try_get(3)? };
        tables.entry(row.try_get(0)?).or_default().push(column);
    }
    Ok(tables)
}

async fn indexes(
    connection: &mut PgConnection,
    place: &Place,
) -> Result<BTreeMap<String, StoredIndex>, EngineError> {
    let rows = sqlx::query(INDEXES).bind(place.schema.as_str()).fetch_all(connection).await?;
    let mut indexes = BTreeMap::new();
    for row in &rows {
        let name: String = row.try_get(0)?;
        if name.starts_with("polylog_") {
            let (is_unique, using, is_valid) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            indexes.insert(name, StoredIndex { is_unique, using, is_valid });
        }
    }
    Ok(indexes)
}

async fn granted(connection: &mut PgConnection, place: &Place) -> Result<Granted, EngineError> {
    let Some(role) = &place.role else { return Ok(Granted::default()) };
    let usage = sqlx::query_scalar("SELECT has_schema_privilege($1, $2, 'USAGE')")
        .bind(role.as_str())
        .bind(place.schema.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let rows = sqlx::query(GRANTED)
        .bind(place.schema.as_str())
        .bind(names())
        .bind(role.as_str())
        .fetch_all(connection)
        .await?;
    let mut tables = TableRights::default();
    for row in &rows {
        if row.try_get(2)? {
            tables.add(row.try_get(0)?, [row.try_get(1)?]);
        }
    }
    Ok(Granted { usage, tables })
}

/// The stored format of the head, and whose it is.
pub(super) async fn stored(
    connection: &mut PgConnection,
    place: &Place,
) -> Result<Option<(u32, Identity)>, EngineError> {
    let head = schema::HEAD.in_schema(&place.schema);
    // the format first: the other columns are what it says
    let format = format!("SELECT format FROM {head} WHERE lane = 0");
    let format: Option<i64> =
        sqlx::query_scalar(AssertSqlSafe(format)).fetch_optional(&mut *connection).await?;
    let found = format.map(|format| u32::try_from(format).unwrap_or(u32::MAX));
    let Some(found) = found else { return Ok(None) };
    if found > FORMAT {
        return Err(Failure::FormatTooNew { found, known: FORMAT }.into());
    }
    let identity = format!("SELECT log, database, incarnation FROM {head} WHERE lane = 0");
    let row = sqlx::query(AssertSqlSafe(identity)).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let identity = Identity {
        log: LogId::new(row.try_get(0)?),
        database: DatabaseId::new(row.try_get(1)?),
        incarnation: Incarnation::new(row.try_get(2)?),
    };
    Ok(Some((found, identity)))
}

pub(super) async fn events(connection: &mut PgConnection, place: &Place) -> Result<u64, EngineError> {
    let events = schema::EVENTS.in_schema(&place.schema);
    let last = format!("SELECT coalesce(max(position), 0) FROM {events}");
    let row = sqlx::query(AssertSqlSafe(last)).fetch_one(connection).await?;
    number(&row, 0)
}
