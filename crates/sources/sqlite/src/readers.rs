use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
};

use polylog_log::Failure;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    connection::{Handle, Role, Slot},
    worker::{self, Job},
};

/// More connections read no faster: every one holds page cache, and the disk is the same.
const MOST_READERS: usize = 4;

/// A few threads that read, started when first needed.
pub(crate) struct Readers {
    handle: Handle,
    free: Arc<Semaphore>,
    pool: Arc<Mutex<Pool>>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<mpsc::SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    is_closed: bool,
}

impl Readers {
    pub(crate) fn new(handle: &Handle) -> Self {
        let count = handle.config.readers.clamp(1, MOST_READERS);
        Self { handle: handle.clone(), free: Arc::new(Semaphore::new(count)), pool: Arc::default() }
    }

    /// Runs `work` on a thread that is free; waits until one is.
    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        W: FnOnce(&mut Slot) -> Result<T, Failure> + Send + 'static,
    {
        let closed = || Failure::Unreachable("the source was closed".into());
        let place = self.free.clone().acquire_owned().await.map_err(|_| closed())?;
        let reader = self.reader()?;
        let (answer, answered) = oneshot::channel();
        let (pool, own) = (self.pool.clone(), reader.clone());
        let job: Job = Box::new(move |slot| {
            let result = work(slot);
            lock(&pool).put_back(own);
            drop(place);
            // nobody waits any more: reading changed nothing
            let _ = answer.send(result);
        });
        reader.try_send(job).map_err(|_| closed())?;
        // a caller that waits must not keep the thread from ending
        drop(reader);
        answered.await.unwrap_or_else(|_| Err(Failure::Unreachable("the reader gave no answer".into())))
    }

    fn reader(&self) -> Result<mpsc::SyncSender<Job>, Failure> {
        let mut pool = lock(&self.pool);
        if pool.is_closed {
            return Err(Failure::Unreachable("the source was closed".into()));
        }
        if let Some(idle) = pool.idle.pop() {
            return Ok(idle);
        }
        let slot = Slot::new(&self.handle, Role::Reader);
        let (jobs, thread) = worker::spawn("sqlite-reader", slot, 1)?;
        pool.threads.retain(|thread| !thread.is_finished());
        pool.threads.push(thread);
        Ok(jobs)
    }

    /// Takes nothing more; returns the threads, which end when what they took is done.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.free.close();
        let mut pool = lock(&self.pool);
        pool.is_closed = true;
        pool.idle.clear();
        std::mem::take(&mut pool.threads)
    }
}

impl Pool {
    fn put_back(&mut self, reader: mpsc::SyncSender<Job>) {
        if !self.is_closed {
            self.idle.push(reader);
        }
    }
}

fn lock(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    // no code between lock and unlock panics in the middle of a change
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}
