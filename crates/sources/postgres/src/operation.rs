//! The frame of every operation that takes the lock: lock, head, decision, rows, head, commit.

use std::sync::Arc;

use polylog_log::{ConfigPoint, Cut, Effect, Failure, Head, OperationError, Position, Refusal, Timestamp};
use sqlx::{PgConnection, Row};
use tokio::sync::watch;

use crate::{
    connection::{Handle, Slot},
    error::EngineError,
    faults::{self, Faults, Stop},
    head::{self, head},
    history,
    memory::Memory,
    outcome::{self, Fault},
    rows, stalled, wait,
};

/// Lock and head are two statements: one would look with the snapshot from before it waited for the lock.
const BEGIN: &str = concat!(
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT FROM polylog_head WHERE lane = 0 FOR UPDATE; SELECT ",
    head!()
);

/// What one process writes with: one connection, and what it remembers.
pub(crate) struct Writer {
    pub(crate) handle: Arc<Handle>,
    pub(crate) tail: Arc<watch::Sender<Position>>,
    pub(crate) slot: Slot,
    pub(crate) memory: Memory,
    pub(crate) faults: Faults,
    /// A statement that commits was sent, and is not answered.
    pub(crate) is_committing: bool,
}

/// Why an operation did not end with an answer.
pub(crate) type Stopped = outcome::Stopped<EngineError>;

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Before(error)
    }
}

/// A statement that commits ended with an error.
pub(crate) fn at_commit(error: EngineError) -> Stopped {
    let left_nothing = error.left_nothing();
    Stopped::AtCommit { error, left_nothing }
}

impl Writer {
    pub(crate) fn new(handle: Arc<Handle>, tail: Arc<watch::Sender<Position>>) -> Self {
        Self {
            handle,
            tail,
            slot: Slot::default(),
            memory: Memory::default(),
            faults: Faults::default(),
            is_committing: false,
        }
    }

    /// What the caller is told; gives up what may be broken.
    pub(crate) fn settle<T>(&mut self, result: Result<T, Stopped>) -> Result<T, OperationError> {
        if let Err(stopped) = &result
            && let Some(error) = stopped.error()
        {
            self.slot.close();
            self.memory.forget();
            if error.is_crash() {
                self.handle.standing.crash();
            }
        }
        if self.faults.lost_reply {
            return Err(OperationError::Unknown(Failure::Unreachable("injected: the reply is lost".into())));
        }
        result.map_err(|stopped| stopped.told(self.handle.patience()))
    }

    /// Before an operation.
    pub(crate) fn prepare(&mut self) {
        self.faults = self.handle.faults();
        self.is_committing = false;
        if let Some(seen) = self.handle.history.seen() {
            self.memory.forget_before(seen.tail().position);
        }
    }

    /// Takes the lock and reads the head.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_>, Stopped> {
        self.faults.pass(faults::BEFORE_BEGIN).await?;
        let seen = self.handle.history.seen();
        let read = self.lock().await?;
        history::prove(&self.handle.history, self.slot.current()?, seen, &read.head).await?;
        self.memory.set_clock(read.clock);
        Ok(Transaction { writer: self, head: read.head, clock: read.clock })
    }

    async fn lock(&mut self) -> Result<head::Read, EngineError> {
        let (connection, was_open) = self.slot.connection(&self.handle).await?;
        match lock_or_end(connection).await {
            // the server was restarted since; nothing was done yet
            Err(error) if was_open && error.is_lost_connection() => {
                self.slot.close();
                let (connection, _) = self.slot.connection(&self.handle).await?;
                lock_or_end(connection).await
            }
            result => result,
        }
    }
}

/// Tries once more after having looked for a holder that fell silent.
async fn lock_or_end(connection: &mut PgConnection) -> Result<head::Read, EngineError> {
    match lock(connection).await {
        Err(error) if error.is_lock_timeout() => {
            stalled::end_sessions(connection).await?;
            lock(connection).await
        }
        result => result,
    }
}

async fn lock(connection: &mut PgConnection) -> Result<head::Read, EngineError> {
    let rows = sqlx::raw_sql(BEGIN).fetch_all(connection).await?;
    let row = rows.last().ok_or_else(|| EngineError::damaged("the lock gave no answer"))?;
    head::parse(row.try_get(0)?)
}

/// A transaction that holds the lock. Left without an end, its connection is given up, and the server undoes it.
pub(crate) struct Transaction<'a> {
    writer: &'a mut Writer,
    /// Under the lock.
    pub(crate) head: Head,
    /// The database's.
    pub(crate) clock: Timestamp,
}

impl Transaction<'_> {
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, EngineError> {
        self.writer.slot.current()
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn schema(&self) -> &crate::SchemaName {
        &self.writer.handle.config.schema
    }

    /// Stores the effect and commits, or rolls back.
    pub(crate) async fn end(mut self, decision: Result<Effect, Refusal>) -> Result<Effect, Stopped> {
        self.pass(faults::LOOKED_UP).await?;
        let effect = match decision {
            Ok(effect) => effect,
            Err(refusal) => return Err(self.refuse(refusal).await?),
        };
        store_rows(self.connection()?, &effect).await?;
        self.pass(faults::ROWS_WRITTEN).await?;
        head::store(self.connection()?, &effect.head).await?;
        #[cfg(feature = "mutants")]
        tokio::time::sleep(polylog_log::mutants::before_commit(&effect)).await;
        self.commit().await?;
        let memory = &mut self.writer.memory;
        if effect.cut.is_some() {
            memory.forget();
        }
        memory.remember(&self.head.tail, effect.head.clone(), &effect.write);
        wait::publish(&self.writer.tail, effect.head.tail.position);
        Ok(effect)
    }

    /// Rolls back; gives the answer.
    pub(crate) async fn refuse(mut self, refusal: Refusal) -> Result<Stopped, EngineError> {
        sqlx::raw_sql("ROLLBACK").execute(self.connection()?).await?;
        self.writer.memory.remember(&self.head.tail, self.head.clone(), &[]);
        Ok(Stopped::Refused(refusal, Box::new(self.head)))
    }

    /// Makes durable what was written.
    pub(crate) async fn commit(&mut self) -> Result<(), Stopped> {
        self.pass(faults::HEAD_WRITTEN).await?;
        self.writer.is_committing = true;
        let committed = sqlx::raw_sql("COMMIT").execute(self.connection()?).await;
        committed.map_err(|error| at_commit(error.into()))?;
        self.pass(faults::COMMITTED).await.map_err(|stop| Stopped::after_commit(stop.into()))
    }

    pub(crate) async fn pass(&mut self, point: &'static str) -> Result<(), Stop> {
        self.writer.faults.pass(point).await
    }
}

async fn store_rows(connection: &mut PgConnection, effect: &Effect) -> Result<(), EngineError> {
    if let Some(cut) = &effect.cut {
        move_to_quarantine(connection, cut).await?;
    }
    rows::insert(connection, &effect.write).await?;
    for config in effect.write.iter().filter_map(ConfigPoint::of) {
        head::store_config(connection, &config).await?;
    }
    Ok(())
}

async fn move_to_quarantine(connection: &mut PgConnection, cut: &Cut) -> Result<(), EngineError> {
    let keep = cut.keep.position.get().cast_signed();
    head::store_cut(connection, cut).await?;
    let copied = sqlx::query(concat!(
        "INSERT INTO polylog_quarantine (cut, ",
        rows::columns!(),
        ") SELECT $1, ",
        rows::columns!(),
        " FROM polylog_events WHERE position > $2"
    ))
    .bind(cut.number.cast_signed())
    .bind(keep)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let remove = async |connection: &mut PgConnection, statement: &'static str| {
        sqlx::query(statement).bind(keep).execute(connection).await.map(|done| done.rows_affected())
    };
    let removed = remove(connection, "DELETE FROM polylog_events WHERE position > $1").await?;
    remove(connection, "DELETE FROM polylog_configs WHERE position > $1").await?;
    let expected = cut.removed.position.get() - cut.keep.position.get();
    if copied == removed && removed == expected {
        Ok(())
    } else {
        Err(EngineError::damaged(format!(
            "{expected} events should be removed, {copied} were copied, {removed} removed"
        )))
    }
}
