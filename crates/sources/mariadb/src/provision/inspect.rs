use std::collections::BTreeMap;

use polylog_log::{DatabaseId, FORMAT, Failure, Identity, Incarnation, LogId};
use polylog_source_servers::rights::RIGHTS;
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use super::{Actual, Granted, Inventory, Place, StoredColumn, StoredIndex, StoredTable, Worker};
use crate::{
    MariadbConfig,
    catalog::{self, Catalog},
    connection::{Enter, connect, use_database},
    dialect,
    error::{EngineError, Patience},
    rows::number,
    schema::{self, Table},
    tables::Tables,
};

const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, coalesce(COLLATION_NAME, ''), IS_NULLABLE \
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME LIKE ? \
     ORDER BY TABLE_NAME, ORDINAL_POSITION";

/// How long provisioning is waited for, at most.
pub(super) fn patience(config: &MariadbConfig) -> Patience {
    Patience { lock: config.lock_timeout, statement: config.statement_timeout }
}

/// Looks at what is in the database; changes nothing. `config` has the credential that provisions.
pub async fn inspect(config: &MariadbConfig, place: &Place) -> Result<Actual, Failure> {
    look(config, place).await.map_err(|error| error.failure(patience(config)))
}

async fn look(config: &MariadbConfig, place: &Place) -> Result<Actual, EngineError> {
    let mut connected = connect(config, config.statement_timeout, Enter::Nothing).await?;
    let connection = &mut connected.connection;
    match use_database(connection, &place.tables).await {
        Ok(()) => {}
        Err(error) if error.number() == Some(1049) => return Ok(Actual::Absent),
        Err(error) => return Err(error),
    }
    let found = catalog::look(connection, &place.tables).await?;
    found.check_foreign(&place.tables)?;
    if found.tables.is_empty() {
        return Ok(Actual::Empty);
    }
    let tables = tables(connection, place, &found).await?;
    let has = |table: &Table| tables.contains_key(table.name);
    let (format, identity) = match has(&schema::HEAD) {
        true => stored(connection, &place.tables).await?.unzip(),
        false => (None, None),
    };
    let events = if has(&schema::EVENTS) { events(connection, &place.tables).await? } else { 0 };
    let indexes = found.indexes.into_iter();
    let indexes = indexes
        .map(|(name, index)| (name, StoredIndex { is_unique: index.is_unique, columns: index.columns }));
    let granted = match &place.worker {
        Some(worker) => granted(worker).await?,
        None => Granted::default(),
    };
    Ok(Actual::Ours(Inventory { identity, format, events, tables, indexes: indexes.collect(), granted }))
}

async fn tables(
    connection: &mut MySqlConnection,
    place: &Place,
    found: &Catalog,
) -> Result<BTreeMap<String, StoredTable>, EngineError> {
    let table = |engine: &str| StoredTable { engine: engine.to_owned(), columns: Vec::new() };
    let mut tables: BTreeMap<String, StoredTable> =
        found.tables.iter().map(|found| (found.name.clone(), table(&found.engine))).collect();
    let query = sqlx::query(COLUMNS).bind(place.tables.database.as_str()).bind(place.tables.pattern());
    let rows = query.fetch_all(connection).await?;
    for row in &rows {
        let text = |column: usize| row.try_get_unchecked::<&str, _>(column);
        let stem = place.tables.stem(text(0)?);
        let Some(table) = stem.and_then(|stem| tables.get_mut(stem)) else { continue };
        let kind = dialect::kind(text(2)?);
        let collation = text(3)?;
        let kind = if collation.is_empty() { kind.into() } else { format!("{kind} COLLATE {collation}") };
        table.columns.push(StoredColumn { name: text(1)?.into(), kind, required: text(4)? == "NO" });
    }
    Ok(tables)
}

/// What the worker may do, tried as the worker.
async fn granted(worker: &Worker) -> Result<Granted, EngineError> {
    let mut granted = Granted::default();
    let config = &worker.config;
    let mut connected = connect(config, config.statement_timeout, Enter::Nothing).await?;
    let connection = &mut connected.connection;
    for (table, rights) in RIGHTS {
        for right in rights {
            match catalog::may(connection, &config.tables, table, right).await {
                Ok(true) => granted.add(table, [*right]),
                Ok(false) => {}
                // a table that is still to be created
                Err(error) if error.number() == Some(1146) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(granted)
}

/// The stored format of the head, and whose it is.
pub(super) async fn stored(
    connection: &mut MySqlConnection,
    tables: &Tables,
) -> Result<Option<(u32, Identity)>, EngineError> {
    let head = tables.qualified(schema::HEAD.name);
    // the format first: the other columns are what it says
    let format = format!("SELECT format FROM {head} WHERE lane = 0");
    let row = sqlx::query(AssertSqlSafe(format)).fetch_optional(&mut *connection).await?;
    let found = match row {
        Some(row) => Some(u32::try_from(number(&row, 0)?).unwrap_or(u32::MAX)),
        None => None,
    };
    let Some(found) = found else { return Ok(None) };
    if found > FORMAT {
        return Err(Failure::FormatTooNew { found, known: FORMAT }.into());
    }
    let identity = format!("SELECT log, `database`, incarnation FROM {head} WHERE lane = 0");
    let row = sqlx::query(AssertSqlSafe(identity)).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let identity = Identity {
        log: LogId::new(row.try_get_unchecked(0)?),
        database: DatabaseId::new(row.try_get_unchecked(1)?),
        incarnation: Incarnation::new(row.try_get_unchecked(2)?),
    };
    Ok(Some((found, identity)))
}

pub(super) async fn events(connection: &mut MySqlConnection, tables: &Tables) -> Result<u64, EngineError> {
    let last = format!("SELECT coalesce(max(position), 0) FROM {}", tables.qualified(schema::EVENTS.name));
    number(&sqlx::query(AssertSqlSafe(last)).fetch_one(connection).await?, 0)
}
