//! What the controllers of several kinds do alike.

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::controller::Action;
use polylog_crds::Condition;

/// How long to wait after the API server refused something. The requests themselves are tried again sooner.
const RETRY: Duration = Duration::from_secs(10);

/// As the API server keeps times: whole seconds, or each comparison would find a difference.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

/// Whether conditions say something else, whatever their times.
pub(crate) fn conditions_differ(before: Option<&[Condition]>, next: Option<&[Condition]>) -> bool {
    let said = |conditions: Option<&[Condition]>| -> Vec<Condition> {
        let without_time = |condition: &Condition| Condition {
            last_transition_time: Timestamp::UNIX_EPOCH,
            ..condition.clone()
        };
        conditions.unwrap_or_default().iter().map(without_time).collect()
    };
    said(before) != said(next)
}

/// The time of a condition is that of the last change of its status.
pub(crate) fn keep_times(before: &[Condition], next: &mut [Condition]) {
    for condition in next {
        let same =
            before.iter().find(|before| before.type_ == condition.type_ && before.status == condition.status);
        if let Some(before) = same {
            condition.last_transition_time = before.last_transition_time;
        }
    }
}

/// Tries a reconcile again.
pub(crate) fn retry(error: &kube::Error) -> Action {
    tracing::warn!(event = "status_unwritten", %error, "a status is written later");
    Action::requeue(RETRY)
}
