//! What the server's catalog has under our names, as far as we may see it.

use std::collections::BTreeMap;

use polylog_log::Failure;
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use crate::{checks, error::EngineError, schema, tables::Tables};

const TABLES: &str = "SELECT TABLE_NAME, TABLE_TYPE, coalesce(ENGINE, ''), coalesce(TABLE_COMMENT, '') \
     FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME LIKE ?";

/// Only whole columns in order count: a part of one, or an index that statements may not use, is another index.
const INDEXES: &str = "SELECT INDEX_NAME, CAST(max(NON_UNIQUE) AS CHAR), GROUP_CONCAT(COLUMN_NAME, \
     coalesce(concat('(', SUB_PART, ')'), ''), IF(IGNORED = 'YES', ' ignored', '') \
     ORDER BY SEQ_IN_INDEX SEPARATOR ', ') \
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? \
     AND INDEX_NAME LIKE ? GROUP BY INDEX_NAME";

/// Our tables, and the indexes of the events, by their names without the prefix.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) tables: Vec<FoundTable>,
    pub(crate) indexes: BTreeMap<String, FoundIndex>,
}

/// Something that has the name of a table of ours.
#[derive(Debug)]
pub(crate) struct FoundTable {
    pub(crate) name: String,
    pub(crate) engine: String,
    is_ours: bool,
}

/// An index of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundIndex {
    pub(crate) is_unique: bool,
    pub(crate) columns: String,
}

impl Catalog {
    /// Fails when there are others' tables under our names.
    pub(crate) fn check_foreign(&self, tables: &Tables) -> Result<(), Failure> {
        match self.tables.iter().find(|table| !table.is_ours) {
            Some(foreign) => Err(checks::foreign_table(tables, &foreign.name)),
            None => Ok(()),
        }
    }

    /// The indexes that keep ids and versions unique, as far as they are not there as they should be.
    pub(crate) fn missing_indexes(&self) -> Vec<schema::Index> {
        let stands = |index: &schema::Index| {
            let found = self.indexes.get(index.name);
            found.is_some_and(|there| there.is_unique && there.columns == index.columns)
        };
        schema::UNIQUE.into_iter().filter(|index| !stands(index)).collect()
    }
}

/// Looks at the catalog.
pub(crate) async fn look(connection: &mut MySqlConnection, tables: &Tables) -> Result<Catalog, EngineError> {
    let mut found = Catalog::default();
    let (database, pattern) = (tables.database.as_str(), tables.pattern());
    let rows = sqlx::query(TABLES).bind(database).bind(&pattern).fetch_all(&mut *connection).await?;
    for row in &rows {
        let stem = tables.stem(row.try_get_unchecked(0)?);
        let Some(name) = stem.filter(|stem| schema::TABLES.iter().any(|table| table.name == *stem)) else {
            continue;
        };
        let is_table = row.try_get_unchecked::<&str, _>(1)? == "BASE TABLE";
        let is_ours = is_table && row.try_get_unchecked::<&str, _>(3)? == schema::MARK;
        found.tables.push(FoundTable { name: name.into(), engine: row.try_get_unchecked(2)?, is_ours });
    }
    let events = tables.named(schema::EVENTS.name);
    let rows = sqlx::query(INDEXES).bind(database).bind(events).bind(&pattern).fetch_all(connection).await?;
    for row in &rows {
        let Some(name) = tables.stem(row.try_get_unchecked(0)?) else { continue };
        let is_unique = row.try_get_unchecked::<&str, _>(1)? == "0";
        let columns = row.try_get_unchecked(2)?;
        found.indexes.insert(name.into(), FoundIndex { is_unique, columns });
    }
    Ok(found)
}

/// A statement that needs a right on a table, and no other one, and touches no row: rights also come from roles, from the
/// database and from the server, so that only trying tells.
pub(crate) fn attempt(tables: &Tables, table: &str, right: &str) -> String {
    let columns = schema::TABLES.iter().find(|ours| ours.name == table).map_or(&[][..], |ours| ours.columns);
    let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
    let first = names.first().map_or("`a`", String::as_str);
    let table = tables.qualified(table);
    match right {
        "SELECT" => format!("SELECT 1 FROM {table} WHERE FALSE"),
        "INSERT" => {
            let nothing = vec!["1"; names.len().max(1)].join(", ");
            let names = if names.is_empty() { first.to_owned() } else { names.join(", ") };
            format!("INSERT INTO {table} ({names}) SELECT {nothing} FROM DUAL WHERE FALSE")
        }
        "UPDATE" => format!("UPDATE {table} SET {first} = 1 WHERE FALSE"),
        _ => format!("DELETE FROM {table} WHERE FALSE"),
    }
}

/// Whether we have a right on a table; a table that is not there is the server's error 1146.
pub(crate) async fn may(
    connection: &mut MySqlConnection,
    tables: &Tables,
    table: &str,
    right: &str,
) -> Result<bool, EngineError> {
    match is_allowed(connection, attempt(tables, table, right)).await {
        // rights are looked at before columns; a column that is missing is another fault
        Err(error) if error.number() == Some(1054) => Ok(true),
        may => may,
    }
}

/// Tries a statement; `false` = we lack the right to it.
pub(crate) async fn is_allowed(
    connection: &mut MySqlConnection,
    attempt: String,
) -> Result<bool, EngineError> {
    match sqlx::raw_sql(AssertSqlSafe(attempt)).execute(connection).await.map_err(EngineError::from) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.number(), Some(1044 | 1142..=1143)) => Ok(false),
        Err(error) => Err(error),
    }
}
