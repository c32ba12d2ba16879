//! Waiting for the log to grow.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use polylog_log::Position;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

/// How a watcher looks where the log ends.
pub trait Look: Send + 'static {
    /// The tail's position; `None`: it could not be read.
    fn look(&mut self) -> BoxFuture<'_, Option<Position>>;

    /// Gives up what it looks with, which may be broken.
    fn close(&mut self);
}

/// How often and how long a watcher looks.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks.
    pub interval: Duration,
    /// For one look at most.
    pub patience: Duration,
}

/// Tells those who wait that the log grew: this process's commits at once, other processes' by looking every few
/// milliseconds, by a task that sleeps while nobody waits.
pub struct Watcher<L> {
    make: Box<dyn Fn() -> L + Send + Sync>,
    pace: Pace,
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

impl<L: Look> Watcher<L> {
    /// For a log that ends at `tail`; `make` makes what looks, when it is first needed.
    pub fn new(tail: Position, pace: Pace, make: impl Fn() -> L + Send + Sync + 'static) -> Self {
        let tail = Arc::new(watch::Sender::new(tail));
        Self { make: Box::new(make), pace, tail, shared: Arc::default(), task: Mutex::default() }
    }

    /// A handle with which the writer tells of its commits.
    pub fn sender(&self) -> Arc<watch::Sender<Position>> {
        self.tail.clone()
    }

    /// Returns when the tail is beyond `after`, or when `at_most` has passed.
    pub async fn wait(&self, after: Position, at_most: Duration) {
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
            let (tail, shared, pace) = (self.tail.clone(), self.shared.clone(), self.pace);
            let look = (self.make)();
            task.running = Some(tokio::spawn(async move { watch(look, pace, &tail, &shared).await }));
        }
    }

    /// Ends the task for good.
    pub async fn close(&self) {
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

impl<L> Drop for Watcher<L> {
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
pub fn publish(to: &watch::Sender<Position>, tail: Position) {
    to.send_if_modified(|seen| std::mem::replace(seen, tail) != tail);
}

async fn watch(mut look: impl Look, pace: Pace, tail: &watch::Sender<Position>, shared: &Shared) {
    loop {
        if shared.waiting.load(Ordering::Acquire) == 0 {
            shared.somebody.notified().await;
            continue;
        }
        match tokio::time::timeout(pace.patience, look.look()).await {
            Ok(Some(position)) => publish(tail, position),
            // the next read of the caller meets the same error and answers with it
            Ok(None) | Err(_) => look.close(),
        }
        tokio::time::sleep(pace.interval).await;
    }
}
