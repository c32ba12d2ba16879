use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use polylog_log::Position;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::connection::{Handle, Slot};

/// Tells those who wait that the log grew: this process's commits at once, other processes' by looking every few
/// milliseconds, by a task that sleeps while nobody waits.
///
/// Looking instead of LISTEN: every NOTIFY takes a lock of the whole server at its commit, so that the commits of all
/// its databases would stand in one line; and a connection that listens is lost on the way through a pooler.
pub(crate) struct Watcher {
    handle: Arc<Handle>,
    tail: Arc<watch::Sender<Position>>,
    shared: Arc<Shared>,
    task: Mutex<Task>,
}

/// The task that looks.
#[derive(Default)]
struct Task {
    running: Option<JoinHandle<()>>,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    somebody: Notify,
}

/// Somebody waits, until this is dropped.
struct Waiting(Arc<Shared>);

impl Watcher {
    pub(crate) fn new(handle: Arc<Handle>, tail: Position) -> Self {
        let tail = Arc::new(watch::Sender::new(tail));
        Self { handle, tail, shared: Arc::default(), task: Mutex::default() }
    }

    /// A handle with which the writer tells of its commits.
    pub(crate) fn sender(&self) -> Arc<watch::Sender<Position>> {
        self.tail.clone()
    }

    /// Returns when the tail is beyond `after`, or when `at_most` has passed.
    pub(crate) async fn wait(&self, after: Position, at_most: Duration) {
        let mut tail = self.tail.subscribe();
        self.start();
        let _waiting = self.shared.register();
        // both ends of the race are an answer: it grew, or the time is over
        let _ = tokio::time::timeout(at_most, tail.wait_for(|tail| *tail > after)).await;
    }

    /// Starts the task, also again after it panicked; not after the end.
    fn start(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = task.running.as_ref().is_some_and(|running| !running.is_finished());
        if !runs && !task.is_closed {
            let (handle, tail, shared) = (self.handle.clone(), self.tail.clone(), self.shared.clone());
            task.running = Some(tokio::spawn(async move { watch(&handle, &tail, &shared).await }));
        }
    }

    /// Ends the task for good.
    pub(crate) async fn close(&self) {
        let running = {
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.is_closed = true;
            task.running.take()
        };
        if let Some(task) = running {
            task.abort();
            // it only looked
            let _ = task.await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.running.take() {
            task.abort();
        }
    }
}

impl Shared {
    fn register(self: &Arc<Self>) -> Waiting {
        if self.waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.somebody.notify_one();
        }
        Waiting(self.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Sets the tail that those who wait see; a truncation lowers it.
pub(crate) fn publish(to: &watch::Sender<Position>, tail: Position) {
    to.send_if_modified(|seen| std::mem::replace(seen, tail) != tail);
}

async fn watch(handle: &Handle, tail: &watch::Sender<Position>, shared: &Shared) {
    let mut slot = Slot::default();
    loop {
        if shared.waiting.load(Ordering::Acquire) == 0 {
            shared.somebody.notified().await;
            continue;
        }
        let looked = tokio::time::timeout(handle.config.request_timeout, look(handle, &mut slot)).await;
        match looked {
            Ok(Some(position)) => publish(tail, position),
            // the next read of the caller meets the same error and answers with it
            Ok(None) | Err(_) => slot.close(),
        }
        tokio::time::sleep(handle.config.poll_interval).await;
    }
}

async fn look(handle: &Handle, slot: &mut Slot) -> Option<Position> {
    let (connection, _) = slot.connection(handle).await.ok()?;
    let tail = sqlx::query_scalar("SELECT tail_position FROM polylog_head WHERE lane = 0");
    let tail: i64 = tail.fetch_one(connection).await.ok()?;
    Some(Position::new(tail.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, PostgresConfig, SchemaName};

    fn watcher() -> Watcher {
        let address = Address::parse("postgres://nobody@127.0.0.1:1/nowhere").expect("good");
        let schema = SchemaName::parse("s").expect("good");
        let handle = Handle::new(PostgresConfig::new(address, schema));
        Watcher::new(Arc::new(handle), Position::ZERO)
    }

    fn runs(watcher: &Watcher) -> bool {
        let task = watcher.task.lock().expect("no panic under the lock");
        task.running.as_ref().is_some_and(|task| !task.is_finished())
    }

    #[tokio::test]
    async fn a_task_that_panicked_is_started_again_and_one_that_was_ended_is_not() {
        let watcher = watcher();
        let panicked = tokio::spawn(async { panic!("as told") });
        while !panicked.is_finished() {
            tokio::task::yield_now().await;
        }
        watcher.task.lock().expect("no panic under the lock").running = Some(panicked);
        watcher.wait(Position::ZERO, Duration::ZERO).await;
        assert!(runs(&watcher));
        watcher.close().await;
        watcher.wait(Position::ZERO, Duration::ZERO).await;
        assert!(!runs(&watcher));
    }
}
