use polylog_log::{Failure, LogId};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    Place,
    inspect::{events, patience, stored},
};
use crate::{PostgresConfig, checks, connection::connect, error::EngineError, schema};

/// Drops the tables of a log, and nothing else: all of them in one transaction, or none. `config` has the credential that
/// provisions. Returns the tables that were dropped; none where the schema holds no log (any more).
///
/// The schema stays, and what else is in it. Fails with `WrongStore` where it holds another log, or a foreign table under
/// one of our names, and with `Damaged` where there are events and nothing says of which log: nothing is dropped then.
pub async fn wipe(config: &PostgresConfig, place: &Place, log: LogId) -> Result<Vec<&'static str>, Failure> {
    carry_out(config, place, log).await.map_err(|error| error.failure(patience(config)))
}

async fn carry_out(
    config: &PostgresConfig,
    place: &Place,
    log: LogId,
) -> Result<Vec<&'static str>, EngineError> {
    let mut connection = connect(config, config.statement_timeout).await?;
    let connection = &mut connection;
    // whatever ends this early closes the connection, and so the transaction
    execute(connection, "BEGIN").await?;
    let catalog = checks::look(connection, &place.schema).await?;
    if !catalog.is_ours(&place.schema)? {
        return Ok(Vec::new());
    }
    let is_there = |name: &str| catalog.tables.iter().any(|found| found.name == name);
    let tables: Vec<&'static str> =
        schema::TABLES.iter().map(|table| table.name).filter(|name| is_there(name)).collect();
    let found = if is_there(schema::HEAD.name) {
        // nobody makes it another log's between the look and the end
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", schema::HEAD.in_schema(&place.schema));
        execute(connection, &lock).await?;
        stored(connection, place).await?
    } else {
        None
    };
    let Some((_, found)) = found else {
        let events = if is_there(schema::EVENTS.name) { events(connection, place).await? } else { 0 };
        return if events == 0 { Ok(Vec::new()) } else { Err(unknown(events).into()) };
    };
    if found.log != log {
        let words = format!("the schema holds log {}, not {log}: nothing was dropped", found.log);
        return Err(Failure::WrongStore(words).into());
    }
    let names: Vec<String> = tables.iter().map(|name| format!("{}.{name}", place.schema)).collect();
    execute(connection, &format!("DROP TABLE {}", names.join(", "))).await?;
    execute(connection, "COMMIT").await?;
    Ok(tables)
}

fn unknown(events: u64) -> Failure {
    Failure::Damaged(format!(
        "{events} events and no head: nothing says of which log, and nothing was dropped"
    ))
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), EngineError> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await?;
    Ok(())
}
