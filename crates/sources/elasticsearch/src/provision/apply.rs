use std::time::Duration;

use elasticsearch::http::Method;
use polylog_log::{Failure, Plan, Step};

use super::{Applied, Approval, Place};
use crate::{
    ElasticsearchConfig,
    connection::{Body, Handle},
    error::EngineError,
};

/// A cluster may take its time to make an index; it gives up by itself after so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Carries out the approved steps of a plan. `config` has the credential that provisions.
///
/// Every step is one of its own: a crash leaves what a new plan completes.
///
/// # Errors
/// As the server has it; `Unreachable` when somebody else changed the indices since the plan was made: plan again.
pub async fn apply(
    config: &ElasticsearchConfig,
    place: &Place,
    plan: &Plan,
    approval: &Approval,
) -> Result<Applied, Failure> {
    let hash = plan.hash();
    let (approved, waiting): (Vec<Step>, Vec<Step>) =
        plan.steps.iter().cloned().partition(|step| approval.allows(step, &hash));
    let request_timeout = config.request_timeout.max(PATIENCE);
    let config = ElasticsearchConfig { indices: place.indices.clone(), request_timeout, ..config.clone() };
    let handle = Handle::new(config);
    for step in &approved {
        carry_out(&handle, step).await.map_err(|error| changed(&error).unwrap_or_else(|| error.failure()))?;
    }
    Ok(Applied { done: approved, waiting })
}

async fn carry_out(handle: &Handle, step: &Step) -> Result<(), EngineError> {
    let (line, body) = step.statement.split_once('\n').unwrap_or((&step.statement, ""));
    let path =
        line.strip_prefix("PUT ").ok_or_else(|| EngineError::damaged(format!("no request: {line}")))?;
    handle.send(Method::Put, path, Body::Json(body.as_bytes().to_vec())).await?.ok()?;
    Ok(())
}

/// A step that met what it should have made.
fn changed(error: &EngineError) -> Option<Failure> {
    let EngineError::Server(server) = error else { return None };
    let is_there = error.is_conflict() || server.kind == "resource_already_exists_exception";
    let words = format!("the indices changed since the plan was made, plan again: {server}");
    is_there.then_some(Failure::Unreachable(words))
}
