use std::time::Duration;

use polylog_log::{FailPoints, Failure, Plan, Step, StepClass};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Applied, Approval, Place, inspect::patience};
use crate::{
    PostgresConfig, checks,
    connection::connect,
    error::EngineError,
    faults::{self, Faults},
};

/// Carries out the approved steps of a plan. `config` has the credential that provisions, and its fail points.
///
/// Additive steps are one transaction, every other step is one of its own: a crash leaves what a new plan completes.
/// Fails without a trace of the failed step (but for an index that is built beside the writers, which the next plan
/// drops); when somebody else changed the schema since the plan was made, plan again.
pub async fn apply(
    config: &PostgresConfig,
    place: &Place,
    plan: &Plan,
    approval: &Approval,
) -> Result<Applied, Failure> {
    let hash = plan.hash();
    let (approved, waiting): (Vec<Step>, Vec<Step>) =
        plan.steps.iter().cloned().partition(|step| approval.allows(step, &hash));
    if !approved.is_empty() {
        let fail_points: FailPoints = config.fail_points.clone();
        let mut faults = Faults::new(fail_points);
        carry_out(config, place, &approved, &mut faults)
            .await
            .map_err(|error| changed(&error).unwrap_or_else(|| error.failure(patience(config))))?;
    }
    Ok(Applied { done: approved, waiting })
}

async fn carry_out(
    config: &PostgresConfig,
    place: &Place,
    steps: &[Step],
    faults: &mut Faults,
) -> Result<(), EngineError> {
    faults.pass(faults::BEFORE_BEGIN).await?;
    // an index takes as long as it takes
    let mut connection = connect(config, Duration::ZERO).await?;
    faults.pass(faults::LOOKED_UP).await?;
    let (additive, others): (Vec<&Step>, Vec<&Step>) =
        steps.iter().partition(|step| step.class == StepClass::Additive);
    run(faults, &mut connection, place, &additive).await?;
    for step in others {
        run(faults, &mut connection, place, &[step]).await?;
    }
    Ok(faults.pass(faults::COMMITTED).await?)
}

async fn run(
    faults: &mut Faults,
    connection: &mut PgConnection,
    place: &Place,
    steps: &[&Step],
) -> Result<(), EngineError> {
    if steps.is_empty() {
        return Ok(());
    }
    let is_alone = matches!(steps, [step] if step.statement.contains(" CONCURRENTLY "));
    if is_alone {
        checks::check_ours(connection, &place.schema).await?;
        execute(connection, &steps[0].statement).await?;
        return Ok(faults.pass(faults::ROWS_WRITTEN).await?);
    }
    execute(connection, "BEGIN").await?;
    checks::check_ours(connection, &place.schema).await?;
    for step in steps {
        execute(connection, &step.statement).await?;
        faults.pass(faults::ROWS_WRITTEN).await?;
    }
    faults.pass(faults::HEAD_WRITTEN).await?;
    execute(connection, "COMMIT").await
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), EngineError> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await?;
    Ok(())
}

/// A statement that met what it should have made, or missed what it should have removed.
fn changed(error: &EngineError) -> Option<Failure> {
    // duplicate or unknown schema, table, column, index; two who create the same at once meet in the catalog's indexes
    let states = ["42P06", "42P07", "42701", "42704", "42P01", "42703", "3F000", "23505"];
    let state = error.state()?;
    let words = format!("the schema changed since the plan was made, plan again: {error}");
    states.contains(&state).then_some(Failure::Unreachable(words))
}
