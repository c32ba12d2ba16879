//! Faults that a careless change would bring in, to prove that tests notice them.

use std::sync::{Mutex, PoisonError};

use polylog_log::{
    Commit, Failure, Position,
    mutants::{self, Mutant},
};
use sqlx::{AssertSqlSafe, Row};

use crate::{error::EngineError, operation::Transaction};

static CHANGE: Mutex<Option<(&str, &str)>> = Mutex::new(None);

/// From now on the swap says the second text instead of the first.
pub fn change_swap(change: Option<(&'static str, &'static str)>) {
    *CHANGE.lock().unwrap_or_else(PoisonError::into_inner) = change;
}

pub(crate) fn swap(sql: String) -> String {
    let change = *CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    match change {
        Some((from, to)) => {
            assert!(sql.contains(from), "{from} is no part of the swap");
            sql.replace(from, to)
        }
        None => sql,
    }
}

/// Whether the fault of this process sits in the operations that take the lock.
pub(crate) fn sits_under_the_lock() -> bool {
    mutants::active().is_some()
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
    let tail = transaction.head.tail.position.get();
    let connection = &mut transaction.session()?.connection;
    let taken: usize = batch.iter().map(Commit::event_count).sum();
    let last: i64 = match sqlx::query("SELECT NEXTVAL(polylog_mutant)").fetch_one(&mut *connection).await {
        Ok(row) => row.try_get_unchecked(0)?,
        Err(_) => {
            // a definition ends the transaction: whoever asked asks again
            let create = format!("CREATE SEQUENCE polylog_mutant START WITH {tail} MINVALUE 0 NOCACHE");
            sqlx::raw_sql(AssertSqlSafe(create)).execute(connection).await?;
            return Err(Failure::Unreachable("the sequence was made".into()).into());
        }
    };
    let set = format!("SELECT SETVAL(polylog_mutant, {})", last + taken as i64 - 1);
    sqlx::raw_sql(AssertSqlSafe(set)).execute(connection).await?;
    transaction.head.tail.position = Position::new(last.unsigned_abs());
    Ok(())
}
