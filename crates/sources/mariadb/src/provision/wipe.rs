use polylog_log::{Failure, LogId};
use sqlx::{AssertSqlSafe, MySqlConnection};

use super::{
    Place,
    inspect::{events, patience, stored},
};
use crate::{
    MariadbConfig, catalog,
    connection::{Enter, connect, use_database},
    error::EngineError,
    schema,
};

/// Drops the tables of a log, and nothing else. `config` has the credential that provisions. Returns the tables that were
/// dropped, without their prefix; none where the database holds no log (any more).
///
/// The server commits at each definition: the head, which says whose tables they are, is dropped last, so that a wipe
/// that ended early is completed by the next. The database stays, and what else is in it. Fails with `WrongStore` where
/// it holds another log, or a foreign table under one of our names, and with `Damaged` where there are events and nothing
/// says of which log: nothing is dropped then.
pub async fn wipe(config: &MariadbConfig, place: &Place, log: LogId) -> Result<Vec<&'static str>, Failure> {
    carry_out(config, place, log).await.map_err(|error| error.failure(patience(config)))
}

async fn carry_out(
    config: &MariadbConfig,
    place: &Place,
    log: LogId,
) -> Result<Vec<&'static str>, EngineError> {
    let mut connected = connect(config, config.statement_timeout, Enter::Nothing).await?;
    let connection = &mut connected.connection;
    match use_database(connection, &place.tables).await {
        Ok(()) => {}
        Err(error) if error.number() == Some(1049) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let found = catalog::look(connection, &place.tables).await?;
    found.check_foreign(&place.tables)?;
    let is_there = |name: &str| found.tables.iter().any(|table| table.name == name);
    let stored = if is_there(schema::HEAD.name) { stored(connection, &place.tables).await? } else { None };
    let Some((_, identity)) = stored else {
        let events = if is_there(schema::EVENTS.name) { events(connection, &place.tables).await? } else { 0 };
        return if events == 0 { Ok(Vec::new()) } else { Err(unknown(events).into()) };
    };
    if identity.log != log {
        let words = format!("the database holds log {}, not {log}: nothing was dropped", identity.log);
        return Err(Failure::WrongStore(words).into());
    }
    let others = schema::TABLES.iter().map(|table| table.name).filter(|name| *name != schema::HEAD.name);
    let tables: Vec<&'static str> = others.filter(|name| is_there(name)).chain([schema::HEAD.name]).collect();
    for table in &tables {
        execute(connection, &format!("DROP TABLE IF EXISTS {}", place.tables.qualified(table))).await?;
    }
    Ok(tables)
}

fn unknown(events: u64) -> Failure {
    Failure::Damaged(format!(
        "{events} events and no head: nothing says of which log, and nothing was dropped"
    ))
}

async fn execute(connection: &mut MySqlConnection, statement: &str) -> Result<(), EngineError> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await?;
    Ok(())
}
