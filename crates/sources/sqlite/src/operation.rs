//! The frame of every operation that writes: lock, head, decision, rows, head, commit.

use polylog_log::{ConfigPoint, Cut, Effect, Failure, Head, OperationError, Position, Refusal};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::{
    connection::Slot,
    error::EngineError,
    faults::{self, Faults},
    head, rows, wait,
};

/// Why a transaction did not end with an answer.
enum Stopped {
    /// Before COMMIT: nothing was written.
    Before(EngineError),
    /// By a rule; nothing was written.
    Refused(Refusal, Box<Head>),
    /// At COMMIT, or before its answer was given.
    AtCommit { error: EngineError, left_nothing: bool },
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Before(error)
    }
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Before(error.into())
    }
}

/// Takes the write lock, decides on the head and what `decide` looked up, and stores the effect.
pub(crate) fn execute(
    slot: &mut Slot,
    tail: &watch::Sender<Position>,
    decide: impl FnOnce(&Connection, &Head) -> Result<Result<Effect, Refusal>, EngineError>,
) -> Result<Effect, OperationError> {
    let effect = transact(slot, |connection, faults| {
        let head = head::load(connection)?;
        let decision = decide(connection, &head)?;
        faults.pass(faults::LOOKED_UP)?;
        let effect = match decision {
            Ok(effect) => effect,
            Err(refusal) => return Ok(Err((refusal, Box::new(head)))),
        };
        store(connection, &effect)?;
        faults.pass(faults::ROWS_WRITTEN)?;
        head::store(connection, &effect.head)?;
        Ok(Ok(effect))
    })?;
    wait::publish(tail, effect.head.tail.position);
    Ok(effect)
}

/// Runs `work` between BEGIN IMMEDIATE and COMMIT, and tells apart what was certainly not executed from what may have
/// been.
pub(crate) fn transact<T>(
    slot: &mut Slot,
    work: impl FnOnce(&Connection, &mut Faults) -> Result<Result<T, (Refusal, Box<Head>)>, EngineError>,
) -> Result<T, OperationError> {
    let mut faults = slot.faults();
    let result = attempt(slot, &mut faults, work);
    let error = match &result {
        Err(Stopped::Before(error) | Stopped::AtCommit { error, .. }) => Some(error),
        Ok(_) | Err(Stopped::Refused(..)) => None,
    };
    slot.settle(error);
    let patience = slot.patience();
    if faults.lost_reply {
        return Err(OperationError::Unknown(Failure::Unreachable("injected: the reply is lost".into())));
    }
    result.map_err(|stopped| match stopped {
        Stopped::Refused(reason, head) => OperationError::Refused { reason, head },
        Stopped::Before(error @ EngineError::Crashed) | Stopped::AtCommit { error, left_nothing: false } => {
            OperationError::Unknown(error.failure(patience))
        }
        Stopped::Before(error) | Stopped::AtCommit { error, left_nothing: true } => {
            OperationError::Failed(error.failure(patience))
        }
    })
}

fn attempt<T>(
    slot: &mut Slot,
    faults: &mut Faults,
    work: impl FnOnce(&Connection, &mut Faults) -> Result<Result<T, (Refusal, Box<Head>)>, EngineError>,
) -> Result<T, Stopped> {
    faults.pass(faults::BEFORE_BEGIN)?;
    let connection = slot.connection()?;
    run(connection, "BEGIN IMMEDIATE")?;
    let worked = work(connection, faults).and_then(|done| faults.pass(faults::HEAD_WRITTEN).map(|()| done));
    let done = match worked {
        Ok(Ok(done)) => done,
        Ok(Err((refusal, head))) => {
            roll_back(connection);
            return Err(Stopped::Refused(refusal, head));
        }
        Err(error) => {
            roll_back(connection);
            return Err(error.into());
        }
    };
    if let Err(error) = run(connection, "COMMIT") {
        let left_nothing = roll_back(connection) && error.commit_left_nothing();
        return Err(Stopped::AtCommit { error, left_nothing });
    }
    // whatever goes wrong from here on, the operation stands
    faults.pass(faults::COMMITTED).map_err(|error| Stopped::AtCommit { error, left_nothing: false })?;
    Ok(done)
}

fn run(connection: &Connection, statement: &str) -> Result<(), EngineError> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

/// Rolls back what SQLite has not rolled back by itself. `false`: it could not; the connection must be closed, which
/// does it too.
fn roll_back(connection: &Connection) -> bool {
    connection.is_autocommit() || run(connection, "ROLLBACK").is_ok()
}

fn store(connection: &Connection, effect: &Effect) -> Result<(), EngineError> {
    if let Some(cut) = &effect.cut {
        move_to_quarantine(connection, cut)?;
    }
    rows::insert(connection, &effect.write)?;
    for config in effect.write.iter().filter_map(ConfigPoint::of) {
        head::store_config(connection, &config)?;
    }
    Ok(())
}

fn move_to_quarantine(connection: &Connection, cut: &Cut) -> Result<(), EngineError> {
    let keep = cut.keep.position.get().cast_signed();
    head::store_cut(connection, cut)?;
    let copied = connection
        .prepare_cached(concat!(
            "INSERT INTO polylog_quarantine (cut, ",
            rows::columns!(),
            ") SELECT ?1, ",
            rows::columns!(),
            " FROM polylog_events WHERE position > ?2 ORDER BY position"
        ))?
        .execute([cut.number.cast_signed(), keep])?;
    let removed =
        connection.prepare_cached("DELETE FROM polylog_events WHERE position > ?1")?.execute([keep])?;
    connection.prepare_cached("DELETE FROM polylog_configs WHERE position > ?1")?.execute([keep])?;
    let expected = cut.removed.position.get() - cut.keep.position.get();
    if copied == removed && removed as u64 == expected {
        Ok(())
    } else {
        let found = format!("{expected} events should be removed, {copied} were copied, {removed} removed");
        Err(Failure::Damaged(found).into())
    }
}
