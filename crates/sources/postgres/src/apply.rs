use polylog_log::{Apply, Applying, Effect, Head, Identity, Operation, Refusal, Rules};

use crate::{
    faults,
    operation::{Stopped, Writer},
    swap::swap,
};

/// See [`polylog_log::Source::apply`]: one statement where everything is as remembered, else under the lock.
pub(crate) async fn apply(writer: &mut Writer, of: &Identity, apply: &Apply) -> Result<Head, Stopped> {
    match guessed(writer, of, apply).await? {
        Some(head) => Ok(head),
        None => locked(writer, of, apply).await,
    }
}

async fn locked(writer: &mut Writer, of: &Identity, apply: &Apply) -> Result<Head, Stopped> {
    let transaction = writer.begin().await?;
    let decision = decide(&transaction.head, of, apply);
    Ok(transaction.end(decision).await?.head)
}

fn decide(head: &Head, of: &Identity, apply: &Apply) -> Result<Effect, Refusal> {
    let applying = Applying {
        term: apply.term,
        previous: apply.previous,
        entries: &apply.entries,
        watermarks: apply.watermarks,
    };
    head.admit(of, Operation::Apply(applying), Rules::ALL)
}

/// Decides on the head that is remembered, and writes if the database still has it. `None`: nothing was written, and the
/// answer needs the lock.
async fn guessed(writer: &mut Writer, of: &Identity, apply: &Apply) -> Result<Option<Head>, Stopped> {
    if apply.entries.is_empty() {
        return Ok(None);
    }
    let Some(head) = writer.memory.guess() else { return Ok(None) };
    let Ok(effect) = decide(&head, of, apply) else { return Ok(None) };
    // a swap leaves both as they are
    let is_plain = effect.head.term == head.term && effect.head.config.position == head.config.position;
    if !is_plain {
        return Ok(None);
    }
    writer.faults.pass(faults::BEFORE_BEGIN).await?;
    writer.slot.connection(&writer.handle).await?;
    swap(writer, &head, &effect).await
}
