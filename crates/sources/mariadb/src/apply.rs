use polylog_log::{Apply, Applying, Head, Identity, Operation, Rules};

use crate::operation::{Stopped, Writer};

/// See [`polylog_log::Source::apply`].
pub(crate) async fn apply(writer: &mut Writer, of: &Identity, apply: &Apply) -> Result<Head, Stopped> {
    let transaction = writer.begin().await?;
    let applying = Applying {
        term: apply.term,
        previous: apply.previous,
        entries: &apply.entries,
        watermarks: apply.watermarks,
    };
    let decision = transaction.head.admit(of, Operation::Apply(applying), Rules::ALL);
    Ok(transaction.end(decision).await?.head)
}
