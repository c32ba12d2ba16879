use std::future::IntoFuture;

use mongodb::error::ErrorKind;
use polylog_log::{Failure, Plan, Step};

use super::{Applied, Approval, command::command, plan::makes_a_log, probe};
use crate::{MongodbConfig, connection::Handle, error::EngineError};

/// Carries out the approved steps of a plan, one after the other. `config` has the credential that provisions.
///
/// A crash leaves what a new plan completes: the head comes last, and without it there is no log.
///
/// # Errors
/// The server lacks what a log needs, or refuses a step; when somebody else changed the database since the plan was made,
/// plan again.
pub async fn apply(config: &MongodbConfig, plan: &Plan, approval: &Approval) -> Result<Applied, Failure> {
    let hash = plan.hash();
    let (approved, waiting): (Vec<Step>, Vec<Step>) =
        plan.steps.iter().cloned().partition(|step| approval.allows(step, &hash));
    let handle = Handle::new(config.clone());
    // the steps before only make room: a server that lacks something is left without a log
    let carried_out = carry_out(&handle, &approved).await;
    handle.close().await;
    carried_out.map_err(|error| changed(&error).unwrap_or_else(|| error.failure()))?;
    Ok(Applied { done: approved, waiting })
}

async fn carry_out(handle: &Handle, steps: &[Step]) -> Result<(), EngineError> {
    let database = &handle.connected().await?.database;
    for step in steps {
        if makes_a_log(step)? {
            probe::try_all(handle).await?;
        }
        // an index takes as long as it takes
        let answer = database.run_command(command(step)?).into_future().await?;
        if answer.contains_key("writeErrors") || answer.contains_key("writeConcernError") {
            let words = format!("the database changed since the plan was made, plan again: {answer}");
            return Err(Failure::Unreachable(words).into());
        }
    }
    Ok(())
}

/// A command that met what it should have made, or missed what it should have removed.
fn changed(error: &EngineError) -> Option<Failure> {
    let EngineError::Driver(error) = error else { return None };
    let ErrorKind::Command(answer) = &*error.kind else { return None };
    // NamespaceExists, NamespaceNotFound, IndexNotFound, IndexOptionsConflict, IndexKeySpecsConflict
    let words = format!("the database changed since the plan was made, plan again: {error}");
    [48, 26, 27, 85, 86].contains(&answer.code).then_some(Failure::Unreachable(words))
}
