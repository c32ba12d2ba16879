//! Faults that a careless change would bring in, to prove that tests notice them.

use std::sync::{Mutex, PoisonError};

use polylog_log::{
    Append, Appended, Commit, Facts, Identity, Position, Verdict, Wanted,
    mutants::{self, Mutant},
};
use sqlx::AssertSqlSafe;

use crate::{
    error::EngineError,
    operation::{Transaction, Writer},
};

static CHANGE: Mutex<Option<(&str, &str)>> = Mutex::new(None);

/// From now on the swap says the second text instead of the first.
pub fn change_swap(change: Option<(&'static str, &'static str)>) {
    *CHANGE.lock().unwrap_or_else(PoisonError::into_inner) = change;
}

pub(crate) fn swap(sql: &str) -> AssertSqlSafe<String> {
    let change = *CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    AssertSqlSafe(match change {
        Some((from, to)) => {
            assert!(sql.contains(from), "{from} is no part of the swap");
            sql.replace(from, to)
        }
        None => sql.to_owned(),
    })
}

/// Whether the fault of this process sits in the operations that take the lock.
pub(crate) fn sits_under_the_lock() -> bool {
    matches!(mutants::active(), Some(Mutant::Sequence | Mutant::EarlyAnswer))
}

/// What goes wrong when a refusal rests on what is remembered: another process may have written since.
pub(crate) fn stale_conflict(writer: &mut Writer, of: &Identity, append: &Append) -> Option<Appended> {
    if mutants::active() != Some(Mutant::StaleConflict) || append.batch.is_empty() {
        return None;
    }
    // also where others are known to write too
    let head = (0..=100).find_map(|_| writer.memory.guess())?;
    let (mut facts, clock) = (Facts::default(), writer.memory.clock()?);
    let unknown = writer.memory.recall(&Wanted::by_batch(&append.batch), &mut facts);
    let effect = crate::append::decide(&head, of, append, &facts, clock).ok()?;
    let is_conflict = |verdict: &Verdict| matches!(verdict, Verdict::VersionConflict { .. });
    (unknown.is_empty() && effect.verdicts.iter().all(is_conflict)).then_some(Appended {
        verdicts: effect.verdicts,
        head,
        written: effect.write,
    })
}

/// What goes wrong when positions come from a sequence: its numbers are handed out before the commit, and nothing takes
/// them back.
pub(crate) async fn number_by_sequence(
    transaction: &mut Transaction<'_>,
    batch: &[Commit],
) -> Result<(), EngineError> {
    if mutants::active() != Some(Mutant::Sequence) || batch.iter().any(Commit::is_system) {
        return Ok(());
    }
    let name = format!("{}.polylog_mutant", transaction.schema());
    let tail = transaction.head.tail.position.get();
    let connection = transaction.connection()?;
    let create = format!("CREATE SEQUENCE IF NOT EXISTS {name} MINVALUE 0 START {tail}");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *connection).await?;
    let taken: usize = batch.iter().map(Commit::event_count).sum();
    let take = format!("SELECT nextval('{name}')");
    let last: i64 = sqlx::query_scalar(AssertSqlSafe(take)).fetch_one(&mut *connection).await?;
    let set = format!("SELECT setval('{name}', {})", last + taken as i64 - 1);
    sqlx::raw_sql(AssertSqlSafe(set)).execute(connection).await?;
    transaction.head.tail.position = Position::new(last.unsigned_abs());
    Ok(())
}
