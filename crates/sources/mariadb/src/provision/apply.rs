use std::time::Duration;

use polylog_log::{Failure, Plan, Step};
use polylog_source_servers::faults::{self, Faults};
use sqlx::{AssertSqlSafe, MySqlConnection};

use super::{Applied, Approval, Place, inspect::patience};
use crate::{
    MariadbConfig, catalog,
    connection::{Enter, connect, use_database},
    error::EngineError,
};

/// Carries out the approved steps of a plan. `config` has the credential that provisions, and its fail points.
///
/// Every step is one of its own, since the server commits at each definition: a crash leaves what a new plan completes.
/// Fails without a trace of the failed step; when somebody else changed the database since the plan was made, plan again.
pub async fn apply(
    config: &MariadbConfig,
    place: &Place,
    plan: &Plan,
    approval: &Approval,
) -> Result<Applied, Failure> {
    let hash = plan.hash();
    let (approved, waiting): (Vec<Step>, Vec<Step>) =
        plan.steps.iter().cloned().partition(|step| approval.allows(step, &hash));
    if !approved.is_empty() {
        let mut faults = Faults::new(config.fail_points.clone());
        carry_out(config, place, &approved, &mut faults)
            .await
            .map_err(|error| changed(&error).unwrap_or_else(|| error.failure(patience(config))))?;
    }
    Ok(Applied { done: approved, waiting })
}

async fn carry_out(
    config: &MariadbConfig,
    place: &Place,
    steps: &[Step],
    faults: &mut Faults,
) -> Result<(), EngineError> {
    faults.pass(faults::BEFORE_BEGIN).await?;
    // an index takes as long as it takes
    let mut connected = connect(config, Duration::ZERO, Enter::Nothing).await?;
    let connection = &mut connected.connection;
    match use_database(connection, &place.tables).await {
        Ok(()) => catalog::look(connection, &place.tables).await?.check_foreign(&place.tables)?,
        // the first step creates it
        Err(error) if error.number() == Some(1049) => {}
        Err(error) => return Err(error),
    }
    faults.pass(faults::LOOKED_UP).await?;
    for step in steps {
        execute(connection, &step.statement).await?;
        faults.pass(faults::ROWS_WRITTEN).await?;
    }
    faults.pass(faults::HEAD_WRITTEN).await?;
    Ok(faults.pass(faults::COMMITTED).await?)
}

async fn execute(connection: &mut MySqlConnection, statement: &str) -> Result<(), EngineError> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await?;
    Ok(())
}

/// A statement that met what it should have made, or missed what it should have removed.
fn changed(error: &EngineError) -> Option<Failure> {
    // there already: database, table, column, index, row; gone: index or column, table, database
    let numbers = [1007, 1050, 1060, 1061, 1062, 1091, 1146, 1008, 1049];
    let words = format!("the database changed since the plan was made, plan again: {error}");
    numbers.contains(&error.number()?).then_some(Failure::Unreachable(words))
}
