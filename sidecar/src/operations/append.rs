use polylog_api::{Code, CommitsAnswer, Problem};
use polylog_log::{Acks, Commit, EventId};
use polylog_replication::Acknowledged;
use uuid::Uuid;

use super::{Call, conflicts, errors};
use crate::{
    hosted::Hosted,
    pipeline::{Incoming, check_append, intercept, require_any},
    policy::{Verb, Violation},
};

/// Most missed events that a conflict shows.
pub(crate) const MOST_MISSED: u64 = 100;

/// An id for an event whose caller gave none.
pub(crate) fn new_id() -> EventId {
    EventId::new(Uuid::now_v7())
}

/// Runs a commit through the interceptors and into the log. On a conflict up to `missed` events are shown.
pub(crate) async fn append(
    call: &Call,
    mut commit: Commit,
    acks: Option<Acks>,
    missed: usize,
) -> Result<Acknowledged, Problem> {
    let Call { hosted, policy, caller, server, deadline } = call;
    check_access(call, &mut commit).await?;
    let routes = hosted.routes().map_err(|reason| {
        Problem::new(Code::SidecarTooOld, format!("the routes in force cannot be read: {reason}"))
            .next_step("update the sidecar")
    })?;
    let incoming = Incoming { policy, caller, source_limits: hosted.source_limits(), routes: &routes };
    for violation in intercept(&incoming, &mut commit)? {
        server.metrics.schema_warning(&hosted.name);
        let Violation { event_type, pointer, keyword } = violation;
        tracing::warn!(
            event = "schema_warning",
            store = hosted.name,
            event_type,
            pointer,
            keyword,
            "data breaks its schema"
        );
    }
    let begin = std::time::Instant::now();
    let outcome = hosted.store.append(commit, acks, deadline.into_std()).await;
    server.metrics.appended(&hosted.name, begin.elapsed(), &outcome);
    match outcome {
        Ok(acknowledged) => Ok(acknowledged),
        Err(error) => Err(conflicts::complete(call, error, missed).await),
    }
}

/// Refuses an append to a category that the caller may not append to. A stream's category is what its first append
/// said, so it is looked up where not all are allowed, and named in the commit, so that it cannot turn out another one.
async fn check_access(call: &Call, commit: &mut Commit) -> Result<(), Problem> {
    let Call { hosted, policy, caller, .. } = call;
    let scope = require_any(&policy.access, &caller.peer.subject, Verb::Append)?;
    if scope.is_all() {
        return Ok(());
    }
    for append in &mut commit.appends {
        let read = hosted.store.stream_head(&append.stream, &Default::default()).await;
        let recorded = read.map_err(errors::of_read)?.stream.map(|head| head.category);
        let named = append.category.clone().unwrap_or_else(|| append.stream.default_category());
        let category = recorded.unwrap_or(named);
        check_append(&scope, &caller.peer.subject, &category)?;
        append.category.get_or_insert(category);
    }
    Ok(())
}

/// The answer to an append, and whether it wrote something.
pub(crate) fn answer(hosted: &Hosted, acknowledged: Acknowledged) -> (bool, CommitsAnswer) {
    let Acknowledged { receipt, point, acked_by, repeated } = acknowledged;
    let is_new = receipt.is_some() && !repeated;
    let answer = CommitsAnswer {
        results: receipt.into_iter().flat_map(|receipt| receipt.streams).map(Into::into).collect(),
        term: point.term,
        acks: acked_by,
        repeated,
        token: hosted.token_at(point),
    };
    (is_new, answer)
}
