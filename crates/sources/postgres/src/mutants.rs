//! Faults that a careless change would bring in, to prove that tests notice them.

use std::sync::{Mutex, PoisonError};

use polylog_log::{
    Commit, Effect, Position, Verdict,
    mutants::{self, Mutant},
};
use sqlx::AssertSqlSafe;

use crate::{error::EngineError, operation::Transaction};

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

/// Whether refusals that rest on what is remembered are given as they are.
pub(crate) fn believes(effect: &Effect) -> bool {
    let is_conflict = |verdict: &Verdict| matches!(verdict, Verdict::VersionConflict { .. });
    mutants::active() == Some(Mutant::StaleConflict) && effect.verdicts.iter().all(is_conflict)
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
