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

/// Why a transaction did not end with an answer; `R` is why its work wanted it rolled back.
enum Stopped<R> {
    /// Before COMMIT: nothing was written.
    Before(EngineError),
    /// By the work itself; nothing was written.
    RolledBack(R),
    /// At COMMIT, or before its answer was given.
    AtCommit { error: EngineError, left_nothing: bool },
}

impl<R> From<EngineError> for Stopped<R> {
    fn from(error: EngineError) -> Self {
        Self::Before(error)
    }
}

impl<R> From<rusqlite::Error> for Stopped<R> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Before(error.into())
    }
}

/// Why an operation wrote nothing, though nothing failed.
pub(crate) enum Declined {
    /// A rule refused it on this head.
    Refused(Refusal, Box<Head>),
    /// A row contradicts an index that allows each value once.
    Clash(EngineError),
}

/// Takes the write lock, decides on the head and what `decide` looked up, and stores the effect. `decide` must have
/// looked up whatever a rule needs.
pub(crate) fn execute(
    slot: &mut Slot,
    tail: &watch::Sender<Position>,
    decide: impl FnOnce(&Connection, &Head) -> Result<Result<Effect, Refusal>, EngineError>,
) -> Result<Effect, OperationError> {
    execute_or_clash(slot, tail, decide)?
        .map_err(|error| OperationError::Failed(error.failure(slot.patience())))
}

/// As [`execute`], for a `decide` that leaves it to the indexes to find what is there already: then the inner error
/// tells that they did, and nothing was written.
pub(crate) fn execute_or_clash(
    slot: &mut Slot,
    tail: &watch::Sender<Position>,
    decide: impl FnOnce(&Connection, &Head) -> Result<Result<Effect, Refusal>, EngineError>,
) -> Result<Result<Effect, EngineError>, OperationError> {
    let outcome = transact(slot, |connection, faults| {
        let head = head::load(connection)?;
        let decision = decide(connection, &head)?;
        faults.pass(faults::LOOKED_UP)?;
        let effect = match decision {
            Ok(effect) => effect,
            Err(refusal) => return Ok(Err(Declined::Refused(refusal, Box::new(head)))),
        };
        match store(connection, &effect) {
            Err(error) if error.is_clash() => return Ok(Err(Declined::Clash(error))),
            stored => stored?,
        }
        faults.pass(faults::ROWS_WRITTEN)?;
        head::store(connection, &effect.head)?;
        #[cfg(feature = "mutants")]
        std::thread::sleep(polylog_log::mutants::before_commit(&effect));
        Ok(Ok(effect))
    })?;
    match outcome {
        Ok(effect) => {
            wait::publish(tail, effect.head.tail.position);
            Ok(Ok(effect))
        }
        Err(Declined::Refused(reason, head)) => Err(OperationError::Refused { reason, head }),
        Err(Declined::Clash(error)) => Ok(Err(error)),
    }
}

/// Runs `work` between BEGIN IMMEDIATE and COMMIT, and tells apart what was certainly not executed from what may have
/// been. Where `work` gives an inner error, everything is rolled back.
pub(crate) fn transact<T, R>(
    slot: &mut Slot,
    work: impl FnOnce(&Connection, &mut Faults) -> Result<Result<T, R>, EngineError>,
) -> Result<Result<T, R>, OperationError> {
    let mut faults = slot.faults();
    let result = attempt(slot, &mut faults, work);
    let error = match &result {
        Err(Stopped::Before(error) | Stopped::AtCommit { error, .. }) => Some(error),
        Ok(_) | Err(Stopped::RolledBack(_)) => None,
    };
    slot.settle(error);
    let patience = slot.patience();
    if faults.lost_reply {
        return Err(OperationError::Unknown(Failure::Unreachable("injected: the reply is lost".into())));
    }
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(Stopped::RolledBack(reason)) => Ok(Err(reason)),
        Err(
            Stopped::Before(error @ EngineError::Crashed) | Stopped::AtCommit { error, left_nothing: false },
        ) => Err(OperationError::Unknown(error.failure(patience))),
        Err(Stopped::Before(error) | Stopped::AtCommit { error, left_nothing: true }) => {
            Err(OperationError::Failed(error.failure(patience)))
        }
    }
}

fn attempt<T, R>(
    slot: &mut Slot,
    faults: &mut Faults,
    work: impl FnOnce(&Connection, &mut Faults) -> Result<Result<T, R>, EngineError>,
) -> Result<T, Stopped<R>> {
    faults.pass(faults::BEFORE_BEGIN)?;
    let connection = slot.connection()?;
    run(connection, "BEGIN IMMEDIATE")?;
    let worked = work(connection, faults).and_then(|done| faults.pass(faults::HEAD_WRITTEN).map(|()| done));
    let done = match worked {
        Ok(Ok(done)) => done,
        Ok(Err(reason)) => {
            roll_back(connection);
            return Err(Stopped::RolledBack(reason));
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
