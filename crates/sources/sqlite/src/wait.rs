use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use polylog_log::Position;
use rusqlite::Connection;
use tokio::sync::watch;

use crate::{
    connection::{Handle, Role, Slot},
    error::EngineError,
};

/// Tells those who wait that the log grew: this process's commits at once, other processes' by looking every few
/// milliseconds, by a thread that sleeps while nobody waits.
pub(crate) struct Watcher {
    handle: Handle,
    tail: Arc<watch::Sender<Position>>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: usize,
    is_closed: bool,
}

/// Somebody waits, until this is dropped.
struct Waiting(Arc<Shared>);

impl Watcher {
    pub(crate) fn new(handle: &Handle, tail: Position) -> Self {
        Self {
            handle: handle.clone(),
            tail: Arc::new(watch::Sender::new(tail)),
            shared: Arc::default(),
            thread: Mutex::new(None),
        }
    }

    /// A handle with which the writer's thread tells of its commits.
    pub(crate) fn sender(&self) -> Arc<watch::Sender<Position>> {
        self.tail.clone()
    }

    /// Returns when the tail is beyond `after`, or when `at_most` has passed.
    pub(crate) async fn wait(&self, after: Position, at_most: Duration) {
        let mut tail = self.tail.subscribe();
        let _waiting = self.register();
        // both ends of the race are an answer: it grew, or the time is over
        let _ = tokio::time::timeout(at_most, tail.wait_for(|tail| *tail > after)).await;
    }

    fn register(&self) -> Waiting {
        self.start();
        let mut state = lock(&self.shared.state);
        state.waiting += 1;
        if state.waiting == 1 {
            self.shared.changed.notify_one();
        }
        drop(state);
        Waiting(self.shared.clone())
    }

    fn start(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() || lock(&self.shared.state).is_closed {
            return;
        }
        let (handle, tail, shared) = (self.handle.clone(), self.tail.clone(), self.shared.clone());
        let started = thread::Builder::new()
            .name("sqlite-watcher".into())
            .spawn(move || watch(&handle, &tail, &shared));
        match started {
            Ok(handle) => *thread = Some(handle),
            // own commits are told all the same, and every wait ends in time
            Err(error) => {
                tracing::warn!(event = "watcher_missing", %error, "no thread to look for other processes' commits")
            }
        }
    }

    /// Ends the thread and returns it.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        lock(&self.shared.state).is_closed = true;
        self.shared.changed.notify_one();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.0.state).waiting -= 1;
    }
}

/// Sets the tail that those who wait see; a truncation lowers it.
pub(crate) fn publish(to: &watch::Sender<Position>, tail: Position) {
    to.send_if_modified(|seen| std::mem::replace(seen, tail) != tail);
}

fn watch(handle: &Handle, tail: &watch::Sender<Position>, shared: &Shared) {
    let mut slot = Slot::new(handle, Role::Reader);
    let mut seen = None;
    let mut state = lock(&shared.state);
    loop {
        if state.is_closed {
            return;
        }
        if state.waiting == 0 {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        let looked = slot.connection().and_then(|connection| look(connection, &mut seen));
        slot.settle(looked.as_ref().err());
        match looked {
            Ok(Some(position)) => publish(tail, position),
            Ok(None) => {}
            // the next read of the caller meets the same error and answers with it
            Err(_) => seen = None,
        }
        state = lock(&shared.state);
        if !state.is_closed {
            let waited = shared.changed.wait_timeout(state, handle.config.poll_interval);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The tail, if anything was committed since the last look.
fn look(connection: &Connection, seen: &mut Option<i64>) -> Result<Option<Position>, EngineError> {
    // changes whenever another connection committed; costs no page
    let version: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
    if *seen == Some(version) {
        return Ok(None);
    }
    let mut head = connection.prepare_cached("SELECT tail_position FROM polylog_head WHERE lane = 0")?;
    let position: i64 = head.query_row([], |row| row.get(0))?;
    *seen = Some(version);
    Ok(Some(Position::new(position.unsigned_abs())))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // no code between lock and unlock panics
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
