use polylog_log::{
    Effect, Identity, Nonce, Open, Opening, Operation, Refusal, Rules, Term, Truncate, Truncating, Wanted,
};

use crate::{connection::Handle, document::HeadDocument, error::EngineError, operation::Writer};

/// Decides a promise.
pub(crate) fn promise(
    of: &Identity,
    head: &HeadDocument,
    term: Term,
    nonce: Nonce,
) -> Result<Effect, Refusal> {
    head.head.admit(of, Operation::Promise { term, nonce }, Rules::ALL)
}

/// Decides an opening.
pub(crate) async fn open(
    writer: &mut Writer,
    of: &Identity,
    head: &HeadDocument,
    open: &Open,
) -> Result<Result<Effect, Refusal>, EngineError> {
    let handle = writer.handle.clone();
    let facts = &handle.facts(head, &Wanted::by_open(), &mut writer.memory).await?;
    let clock = writer.clock().await?;
    let Open { term, nonce, tail, ref primary, forced, ref missing } = *open;
    let opening = Opening { term, nonce, tail, primary, forced, missing, facts, clock };
    Ok(head.head.admit(of, Operation::Open(opening), Rules::ALL))
}

/// Decides a truncation.
pub(crate) async fn truncate(
    handle: &Handle,
    of: &Identity,
    head: &HeadDocument,
    truncate: &Truncate,
) -> Result<Result<Effect, Refusal>, EngineError> {
    let Truncate { term, keep, tail } = *truncate;
    let kept = handle.entry_end(head, keep.position).await?;
    let config = &handle.config_at(head, keep.position).await?;
    let truncating = Truncating { term, keep, tail, kept, config };
    Ok(head.head.admit(of, Operation::Truncate(truncating), Rules::ALL))
}
