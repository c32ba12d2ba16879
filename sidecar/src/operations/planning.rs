//! What provisioning would do to the databases of a store now.

use futures::future::try_join_all;
use polylog_api::{Code, Problem};
use polylog_log::{Failure, LogId, Plan, SourceName};
use tokio::time::{Instant, timeout_at};

use super::{Call, admin, errors};
use crate::sources::StorePlace;

/// The plan of one source, or of each that holds the log. One that cannot be looked at leaves nothing to be told of all.
pub(crate) async fn plans(
    call: &Call,
    only: Option<&SourceName>,
) -> Result<Vec<(SourceName, Plan)>, Problem> {
    let hosted = &call.hosted;
    let names = admin::chosen(call, only)?;
    if hosted.places.is_empty() {
        let detail =
            "plan: this process has no credential that provisions: the operator plans for this store";
        return Err(Problem::new(Code::NotSupported, detail)
            .next_step("look at status.plan of the EventStore, or ask kubectl polylog plan"));
    }
    let chosen = hosted.places.iter().filter(|place| names.contains(&place.source));
    let log = hosted.store.identity().log;
    try_join_all(chosen.map(|place| planned(place, log, call.deadline))).await
}

async fn planned(place: &StorePlace, log: LogId, deadline: Instant) -> Result<(SourceName, Plan), Problem> {
    let patience = deadline.saturating_duration_since(Instant::now());
    let planned = timeout_at(deadline, place.plan_of(log)).await;
    match planned.unwrap_or(Err(Failure::Timeout(patience))) {
        Ok(plan) => Ok((place.source.clone(), plan)),
        Err(failure) => Err(errors::of_source(&failure).fact("source", &place.source)),
    }
}
