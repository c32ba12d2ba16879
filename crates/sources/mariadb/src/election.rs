use polylog_log::{
    Head, Identity, Nonce, Open, Opening, Operation, Rules, Term, Truncate, Truncating, Wanted,
};

use crate::{
    facts,
    operation::{Stopped, Writer},
    records,
};

/// See [`polylog_log::Source::promise`].
pub(crate) async fn promise(
    writer: &mut Writer,
    of: &Identity,
    term: Term,
    nonce: Nonce,
) -> Result<Head, Stopped> {
    let transaction = writer.begin().await?;
    let decision = transaction.head.admit(of, Operation::Promise { term, nonce }, Rules::ALL);
    Ok(transaction.end(decision).await?.head)
}

/// See [`polylog_log::Source::open`].
pub(crate) async fn open(writer: &mut Writer, of: &Identity, open: &Open) -> Result<Head, Stopped> {
    let mut transaction = writer.begin().await?;
    let facts = facts::look_up(transaction.session()?, &Wanted::by_open()).await?;
    let opening = Opening {
        term: open.term,
        nonce: open.nonce,
        tail: open.tail,
        primary: &open.primary,
        forced: open.forced,
        missing: &open.missing,
        facts: &facts,
        clock: transaction.clock,
    };
    let decision = transaction.head.admit(of, Operation::Open(opening), Rules::ALL);
    Ok(transaction.end(decision).await?.head)
}

/// See [`polylog_log::Source::truncate`].
pub(crate) async fn truncate(
    writer: &mut Writer,
    of: &Identity,
    truncate: &Truncate,
) -> Result<Head, Stopped> {
    let mut transaction = writer.begin().await?;
    let (log, keep) = (transaction.head.identity.log, truncate.keep.position);
    let config = records::config_at(transaction.session()?, keep).await?;
    let truncating = Truncating {
        term: truncate.term,
        keep: truncate.keep,
        tail: truncate.tail,
        kept: records::entry_end(transaction.session()?, log, keep).await?,
        config: &config,
    };
    let decision = transaction.head.admit(of, Operation::Truncate(truncating), Rules::ALL);
    Ok(transaction.end(decision).await?.head)
}
