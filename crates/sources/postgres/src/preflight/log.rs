use polylog_log::{CheckTopic, LogId, Preflight};
use polylog_source_servers::preflight::{self, FoundHead};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::Subject;
use crate::{
    checks::{self, Catalog},
    error::EngineError,
    rows::number,
    schema,
};

const OWN_SCHEMA: &str = "give the log a schema of its own (postgres.schema), or remove what is there";

/// Our tables, whose log they hold, and the indexes that keep it sound.
pub(super) async fn tables(
    subject: &Subject<'_>,
    connection: &mut PgConnection,
    catalog: &Catalog,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let schema = &subject.place.schema;
    match catalog.is_ours(schema) {
        Err(failure) => {
            report.failed(CheckTopic::Tables, failure, OWN_SCHEMA);
            return Ok(());
        }
        Ok(false) => {
            preflight::not_yet(report, &place(subject), subject.known);
            return Ok(());
        }
        Ok(true) => {}
    }
    let is_there = |table: &schema::Table| catalog.tables.iter().any(|found| found.name == table.name);
    let missing: Vec<&str> =
        schema::TABLES.iter().filter(|table| !is_there(table)).map(|table| table.name).collect();
    preflight::tables(report, &place(subject), schema::TABLES.len(), &missing);
    if !missing.contains(&schema::EVENTS.name) {
        unique_indexes(subject, catalog, report);
    }
    let reads = |table: &checks::Found| table.name == schema::HEAD.name && table.rights().contains(&"SELECT");
    if catalog.usage == Some(true) && catalog.tables.iter().any(reads) {
        identity(subject, connection, report).await?;
    }
    Ok(())
}

fn place(subject: &Subject<'_>) -> String {
    format!("schema {}", subject.place.schema)
}

fn unique_indexes(subject: &Subject<'_>, catalog: &Catalog, report: &mut Preflight) {
    let schema = &subject.place.schema;
    let missing = catalog.missing_indexes();
    for index in &missing {
        let fix =
            format!("DROP INDEX IF EXISTS {schema}.{}; {}", index.name, index.definition(schema, false));
        report.failed(CheckTopic::UniqueIndexes, checks::missing_index(schema, index), fix);
    }
    if missing.is_empty() {
        report.passed(CheckTopic::UniqueIndexes, format!("{}, unique and valid", schema::UNIQUE.len()));
    }
}

async fn identity(
    subject: &Subject<'_>,
    connection: &mut PgConnection,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let head = schema::HEAD.in_schema(&subject.place.schema);
    // only what every format has
    let head = format!("SELECT format, log, tail_position FROM {head} WHERE lane = 0");
    let row = sqlx::query(AssertSqlSafe(head)).persistent(false).fetch_optional(connection).await?;
    let found = row.map(|row| {
        let format = u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX);
        let (log, tail) = (LogId::new(row.try_get::<Uuid, _>(1)?), number(&row, 2)?);
        Ok::<_, EngineError>(FoundHead { format, log, tail })
    });
    preflight::identity(report, &place(subject), subject.known, found.transpose()?);
    Ok(())
}
