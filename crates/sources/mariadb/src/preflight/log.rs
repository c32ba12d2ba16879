use polylog_log::{CheckTopic, LogId, Preflight};
use polylog_source_servers::preflight::{self, FoundHead};
use sqlx::{AssertSqlSafe, MySqlConnection, Row};

use super::{Subject, rights};
use crate::{
    catalog::{self, Catalog},
    checks,
    error::EngineError,
    rows::number,
    schema,
};

const OWN_TABLES: &str = "give the log a database (mysql.database) or a table prefix (mysql.tablePrefix) of its own, or remove what is there";

/// Our tables, what we may do with them, whose log they hold, and the indexes that keep it sound. `is_there`: whether
/// there is one, if it is known.
pub(super) async fn tables(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    catalog: &Catalog,
    is_there: Option<bool>,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let tables = &subject.config.tables;
    if let Err(failure) = catalog.check_foreign(tables) {
        report.failed(CheckTopic::Tables, failure, OWN_TABLES);
        return Ok(());
    }
    if is_there == Some(false) {
        preflight::not_yet(report, &subject.place(), subject.known);
        return Ok(());
    }
    rights::rows(subject, connection, report).await?;
    if catalog.tables.is_empty() {
        return Ok(());
    }
    // a table on which we have no right is not in the catalog that we see
    let mut missing = Vec::new();
    for table in &schema::TABLES {
        let is_seen = catalog.tables.iter().any(|found| found.name == table.name);
        if !is_seen && is_gone(subject, connection, table).await? {
            missing.push(tables.named(table.name));
        }
    }
    for failure in catalog.tables.iter().filter_map(|table| checks::without_transactions(table, tables)) {
        report.failed(CheckTopic::Tables, failure, "polylog plan shows the statement that converts it");
    }
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    preflight::tables(report, &subject.place(), schema::TABLES.len(), &missing);
    let sees = |table: &schema::Table| catalog.tables.iter().any(|found| found.name == table.name);
    if sees(&schema::EVENTS) {
        unique_indexes(subject, catalog, report);
    }
    if sees(&schema::HEAD) && catalog::may(connection, tables, schema::HEAD.name, "SELECT").await? {
        identity(subject, connection, report).await?;
    }
    Ok(())
}

async fn is_gone(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    table: &schema::Table,
) -> Result<bool, EngineError> {
    match catalog::may(connection, &subject.config.tables, table.name, "SELECT").await {
        Ok(_) => Ok(false),
        Err(error) if error.number() == Some(1146) => Ok(true),
        Err(error) => Err(error),
    }
}

fn unique_indexes(subject: &Subject<'_>, catalog: &Catalog, report: &mut Preflight) {
    let tables = &subject.config.tables;
    let missing = catalog.missing_indexes();
    for index in &missing {
        let (name, events) = (tables.named(index.name), tables.qualified(schema::EVENTS.name));
        let fix = format!("DROP INDEX IF EXISTS {name} ON {events}; {}", index.definition(tables, false));
        report.failed(CheckTopic::UniqueIndexes, checks::missing_index(tables, index), fix);
    }
    if missing.is_empty() {
        report.passed(CheckTopic::UniqueIndexes, format!("{}, unique and whole", schema::UNIQUE.len()));
    }
}

async fn identity(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let head = subject.config.tables.qualified(schema::HEAD.name);
    // only what every format has
    let head = format!("SELECT format, log, tail_position FROM {head} WHERE lane = 0");
    let row = sqlx::query(AssertSqlSafe(head)).fetch_optional(connection).await?;
    let found = row.map(|row| {
        let format = u32::try_from(number(&row, 0)?).unwrap_or(u32::MAX);
        let (log, tail) = (LogId::new(row.try_get_unchecked(1)?), number(&row, 2)?);
        Ok::<_, EngineError>(FoundHead { format, log, tail })
    });
    preflight::identity(report, &subject.place(), subject.known, found.transpose()?);
    Ok(())
}
