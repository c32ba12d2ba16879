use polylog_log::{Apply, Applying, Head, Identity, Operation, OperationError, Position, Rules};
use tokio::sync::watch;

use crate::{connection::Slot, operation};

/// See [`polylog_log::Source::apply`].
pub(crate) fn apply(
    slot: &mut Slot,
    of: &Identity,
    apply: &Apply,
    tail: &watch::Sender<Position>,
) -> Result<Head, OperationError> {
    let effect = operation::execute(slot, tail, |_, head| {
        let applying = Applying {
            term: apply.term,
            previous: apply.previous,
            entries: &apply.entries,
            watermarks: apply.watermarks,
        };
        Ok(head.admit(of, Operation::Apply(applying), Rules::ALL))
    })?;
    Ok(effect.head)
}
