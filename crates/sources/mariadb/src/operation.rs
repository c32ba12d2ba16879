//! The frame of every operation that takes the lock: lock, head, decision, rows, head, commit.

use std::sync::Arc;

use polylog_log::{ConfigPoint, Cut, Effect, Failure, Head, OperationError, Position, Refusal, Timestamp};
use polylog_source_servers::{
    faults::{self, Faults, Stop},
    memory::Memory,
    outcome::{self, Fault},
};
use sqlx::Row;
use tokio::sync::watch;

use crate::{
    checks,
    connection::{Handle, Session, Slot},
    error::EngineError,
    head::{self, head},
    history, insert, records,
    rows::{self, NewRow},
    script::{Broken, Script},
    tables::Statement,
    wait,
};

/// Lock and head are two statements, each with a snapshot of its own. ROLLBACK first: a transaction that was left open
/// would be committed by the next one's begin.
const LOCK: Statement = Statement("SELECT lane FROM polylog_head WHERE lane = 0 FOR UPDATE");
const HEAD: Statement = Statement(concat!(
    "SELECT ",
    head!(),
    ", IF(",
    crate::dialect::is_durable!(),
    ", 1, 0), IF(@@read_only, 1, 0)"
));

/// What a truncation does with the rows behind the position that it keeps.
const COPY: Statement = Statement(concat!(
    "INSERT INTO polylog_quarantine (cut, ",
    rows::columns!(),
    ") SELECT ?, ",
    rows::columns!(),
    " FROM polylog_events WHERE position > ?"
));
const REMOVE_EVENTS: Statement = Statement("DELETE FROM polylog_events WHERE position > ?");
const REMOVE_CONFIGS: Statement = Statement("DELETE FROM polylog_configs WHERE position > ?");

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

/// Whether the server undid everything so that another transaction could go on: the same once more may succeed.
pub(crate) fn is_deadlock(stopped: &Stopped) -> bool {
    matches!(stopped, Stopped::Before(error) if error.is_deadlock())
}

/// A script that commits in its end was broken.
pub(crate) fn at_commit(broken: Broken) -> Stopped {
    // what the server answers to COMMIT itself is not trusted: it may have been on the disk before it failed
    Stopped::AtCommit { left_nothing: !broken.reached_last, error: broken.error }
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
        let session = self.slot.current()?;
        history::prove(&self.handle.history, session, seen, &read.head).await?;
        self.memory.set_clock(read.clock);
        Ok(Transaction { writer: self, head: read.head, clock: read.clock })
    }

    async fn lock(&mut self) -> Result<head::Read, EngineError> {
        let allow = self.handle.config.allow_unsafe_durability;
        let (session, was_open) = self.slot.session(&self.handle).await?;
        match lock(session, allow).await {
            // the server was restarted since; nothing was done yet
            Err(error) if was_open && error.is_lost_connection() => {
                self.slot.close();
                let (session, _) = self.slot.session(&self.handle).await?;
                lock(session, allow).await
            }
            result => result,
        }
    }
}

async fn lock(session: &mut Session, allow_unsafe_durability: bool) -> Result<head::Read, EngineError> {
    let (lock, head) = (session.statements.sql(LOCK), session.statements.sql(HEAD));
    let script = Script::default().then("ROLLBACK").then("START TRANSACTION");
    let rows = script.then(lock.as_str()).then(head.as_str()).run(&mut session.connection).await?;
    let row = rows.last().ok_or_else(|| EngineError::damaged("the lock gave no answer"))?;
    // settings of the whole server, which change under an open session
    let is_on = |column| -> Result<bool, EngineError> { Ok(row.try_get_unchecked::<i64, _>(column)? == 1) };
    if !allow_unsafe_durability && !is_on(1)? {
        return Err(checks::forgets_now().into());
    }
    if is_on(2)? {
        return Err(checks::read_only_now().into());
    }
    head::parse(row.try_get_unchecked(0)?)
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
    pub(crate) fn session(&mut self) -> Result<&mut Session, EngineError> {
        self.writer.slot.current()
    }

    /// Stores the effect and commits, or rolls back.
    pub(crate) async fn end(mut self, decision: Result<Effect, Refusal>) -> Result<Effect, Stopped> {
        self.pass(faults::LOOKED_UP).await?;
        let effect = match decision {
            Ok(effect) => effect,
            Err(refusal) => return Err(self.refuse(refusal).await?),
        };
        store_rows(self.session()?, &effect).await?;
        self.pass(faults::ROWS_WRITTEN).await?;
        head::store(self.session()?, &effect.head).await?;
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
        Script::default().then("ROLLBACK").run(&mut self.session()?.connection).await?;
        self.writer.memory.remember(&self.head.tail, self.head.clone(), &[]);
        Ok(Stopped::Refused(refusal, Box::new(self.head)))
    }

    /// Makes durable what was written.
    pub(crate) async fn commit(&mut self) -> Result<(), Stopped> {
        self.pass(faults::HEAD_WRITTEN).await?;
        self.writer.is_committing = true;
        let committed = Script::default().then("COMMIT").run(&mut self.session()?.connection).await;
        committed.map_err(at_commit)?;
        self.pass(faults::COMMITTED).await.map_err(|stop| Stopped::after_commit(stop.into()))
    }

    pub(crate) async fn pass(&mut self, point: &'static str) -> Result<(), Stop> {
        self.writer.faults.pass(point).await
    }
}

async fn store_rows(session: &mut Session, effect: &Effect) -> Result<(), EngineError> {
    if let Some(cut) = &effect.cut {
        move_to_quarantine(session, cut).await?;
    }
    let rows = NewRow::of(&effect.write);
    let few = insert::most(session, &rows).await?;
    if !few.is_empty() {
        let rows = insert::as_text(&session.statements, few);
        Script::default().then(rows).run(&mut session.connection).await?;
    }
    for config in effect.write.iter().filter_map(ConfigPoint::of) {
        records::store_config(session, &config).await?;
    }
    Ok(())
}

async fn move_to_quarantine(session: &mut Session, cut: &Cut) -> Result<(), EngineError> {
    let keep = cut.keep.position.get().cast_signed();
    records::store_cut(session, cut).await?;
    let copy = session.query(COPY).bind(cut.number.cast_signed()).bind(keep);
    let copied = copy.execute(&mut session.connection).await?.rows_affected();
    let remove = async |session: &mut Session, statement: Statement| {
        let query = session.query(statement).bind(keep);
        query.execute(&mut session.connection).await.map(|done| done.rows_affected())
    };
    let removed = remove(session, REMOVE_EVENTS).await?;
    remove(session, REMOVE_CONFIGS).await?;
    let expected = cut.removed.position.get() - cut.keep.position.get();
    if copied == removed && removed == expected {
        Ok(())
    } else {
        Err(EngineError::damaged(format!(
            "{expected} events should be removed, {copied} were copied, {removed} removed"
        )))
    }
}
