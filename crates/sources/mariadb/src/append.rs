use polylog_log::{
    Append, Appended, Commit, Effect, Expected, Facts, Head, Identity, Operation, Rules, StreamName,
    Timestamp, Verdict, Wanted,
};

use polylog_source_servers::faults;

use crate::{
    error::EngineError,
    facts,
    operation::{Stopped, Writer},
    swap::swap,
};

/// See [`polylog_log::Source::append`]: one packet where everything is as remembered, else under the lock.
pub(crate) async fn append(writer: &mut Writer, of: &Identity, append: &Append) -> Result<Appended, Stopped> {
    match guessed(writer, of, append).await? {
        Some(appended) => Ok(appended),
        None => locked(writer, of, append).await,
    }
}

/// Decides under the lock: the answer to everything that is not simply written.
async fn locked(writer: &mut Writer, of: &Identity, append: &Append) -> Result<Appended, Stopped> {
    let mut transaction = writer.begin().await?;
    let facts = facts::look_up(transaction.session()?, &Wanted::by_batch(&append.batch)).await?;
    #[cfg(feature = "mutants")]
    crate::mutants::number_by_sequence(&mut transaction, &append.batch).await?;
    let decision = decide(&transaction.head, of, append, &facts, transaction.clock);
    let effect = transaction.end(decision).await?;
    Ok(Appended { verdicts: effect.verdicts, head: effect.head, written: effect.write })
}

fn decide(
    head: &Head,
    of: &Identity,
    append: &Append,
    facts: &Facts,
    clock: Timestamp,
) -> Result<Effect, polylog_log::Refusal> {
    let operation = Operation::Append {
        term: append.term,
        config: append.config,
        batch: &append.batch,
        facts,
        watermarks: append.watermarks,
        clock,
    };
    head.admit(of, operation, Rules::ALL)
}

/// Decides on what is remembered, and writes if the database proves it right. `None`: nothing was written, and the
/// answer needs the lock.
async fn guessed(writer: &mut Writer, of: &Identity, append: &Append) -> Result<Option<Appended>, Stopped> {
    if append.batch.is_empty() || append.batch.iter().any(Commit::is_system) {
        return Ok(None);
    }
    #[cfg(feature = "mutants")]
    if crate::mutants::sits_under_the_lock() {
        return Ok(None);
    }
    let Some(head) = writer.memory.guess() else { return Ok(None) };
    writer.faults.pass(faults::BEFORE_BEGIN).await?;
    let Some((facts, clock)) = guess_facts(writer, &head, append).await? else { return Ok(None) };
    let Ok(effect) = decide(&head, of, append, &facts, clock) else { return Ok(None) };
    let is_simple = |verdict: &Verdict| matches!(verdict, Verdict::Committed(_) | Verdict::Checked(_));
    if effect.write.is_empty() || !effect.verdicts.iter().all(is_simple) {
        return Ok(None);
    }
    let swapped = swap(writer, &head, &effect).await?;
    Ok(swapped.map(|head| Appended { verdicts: effect.verdicts, head, written: effect.write }))
}

/// The streams as remembered, or seen at the remembered tail; commits and events as if none were known. `None`: the
/// tail has moved.
async fn guess_facts(
    writer: &mut Writer,
    head: &Head,
    append: &Append,
) -> Result<Option<(Facts, Timestamp)>, EngineError> {
    let mut facts = Facts::default();
    let mut unknown = writer.memory.recall(&Wanted::by_batch(&append.batch), &mut facts);
    // that a stream is new needs no look: a second version 1 would meet the unique index
    let is_new = |stream: &StreamName| {
        let appends = append.batch.iter().flat_map(|commit| &commit.appends);
        let first = appends.into_iter().find(|append| append.stream == *stream);
        first.is_some_and(|append| {
            let none = matches!(append.expected, Expected::NoStream)
                || matches!(append.expected, Expected::Version(version) if version.is_zero());
            none && !append.events.is_empty()
        })
    };
    unknown.retain(|stream| !is_new(stream));
    let (session, was_open) = writer.slot.session(&writer.handle).await?;
    if let Some(clock) = writer.memory.clock().filter(|_| unknown.is_empty()) {
        return Ok(Some((facts, clock)));
    }
    let seen = match facts::glance(session, &unknown).await {
        Ok(seen) => seen,
        // the server was restarted since; nothing was done yet
        Err(error) if was_open && error.is_lost_connection() => {
            writer.slot.close();
            writer.memory.forget();
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    writer.memory.set_clock(seen.clock);
    if seen.tail != head.tail {
        writer.memory.lost();
        return Ok(None);
    }
    for (name, stream) in seen.streams {
        writer.memory.remember_stream(name.clone(), stream.clone());
        facts.streams.insert(name, stream);
    }
    Ok(Some((facts, seen.clock)))
}
