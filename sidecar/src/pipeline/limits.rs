use polylog_api::{Code, Problem};
use polylog_log::{Commit, LimitExceeded, Limits};

/// Checks a commit against the store's limits and those of its source.
pub(super) fn check(store: Limits, source: Limits, commit: &Commit) -> Result<(), Problem> {
    store.check(commit).map_err(|exceeded| problem(&exceeded, "the store"))?;
    source.check(commit).map_err(|exceeded| problem(&exceeded, "its source"))
}

/// A `limit_exceeded` that says which limit of whom.
pub(crate) fn problem(exceeded: &LimitExceeded, imposed_by: &str) -> Problem {
    let problem = Problem::new(Code::LimitExceeded, format_args!("{exceeded} (a limit of {imposed_by})"))
        .next_step("send less at once, or have the limit raised in the EventStore")
        .fact("limit", exceeded.limit)
        .fact("allowed", exceeded.allowed)
        .fact("got", exceeded.got);
    match exceeded.event {
        Some(event) => problem.fact("event", event),
        None => problem,
    }
}
