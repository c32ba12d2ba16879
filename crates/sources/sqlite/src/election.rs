use polylog_log::{
    Head, Identity, Nonce, Open, Opening, Operation, OperationError, Position, Rules, Term, Truncate,
    Truncating, Wanted,
};
use tokio::sync::watch;

use crate::{append, clock, connection::Slot, head, operation};

/// See [`polylog_log::Source::promise`].
pub(crate) fn promise(
    slot: &mut Slot,
    of: &Identity,
    term: Term,
    nonce: Nonce,
    tail: &watch::Sender<Position>,
) -> Result<Head, OperationError> {
    let effect = operation::execute(slot, tail, |_, head| {
        Ok(head.admit(of, Operation::Promise { term, nonce }, Rules::ALL))
    })?;
    Ok(effect.head)
}

/// See [`polylog_log::Source::open`].
pub(crate) fn open(
    slot: &mut Slot,
    of: &Identity,
    open: &Open,
    tail: &watch::Sender<Position>,
) -> Result<Head, OperationError> {
    let effect = operation::execute(slot, tail, |connection, head| {
        let facts = append::look_up(connection, &Wanted::by_open())?;
        let opening = Opening {
            term: open.term,
            nonce: open.nonce,
            tail: open.tail,
            primary: &open.primary,
            forced: open.forced,
            missing: &open.missing,
            facts: &facts,
            clock: clock::now(),
        };
        Ok(head.admit(of, Operation::Open(opening), Rules::ALL))
    })?;
    Ok(effect.head)
}

/// See [`polylog_log::Source::truncate`].
pub(crate) fn truncate(
    slot: &mut Slot,
    of: &Identity,
    truncate: &Truncate,
    tail: &watch::Sender<Position>,
) -> Result<Head, OperationError> {
    let effect = operation::execute(slot, tail, |connection, head| {
        let config = head::config_at(connection, truncate.keep.position)?;
        let truncating = Truncating {
            term: truncate.term,
            keep: truncate.keep,
            tail: truncate.tail,
            kept: head::entry_end(connection, head, truncate.keep.position)?,
            config: &config,
        };
        Ok(head.admit(of, Operation::Truncate(truncating), Rules::ALL))
    })?;
    Ok(effect.head)
}
