use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use polylog_log::{Failure, OperationError};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    connection::{Handle, Role, Slot},
    worker::{self, Job},
};

/// The one thread of this process that writes.
pub(crate) struct Writer {
    /// As many as the queue has room for, so that sending to the thread never blocks.
    room: Arc<Semaphore>,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    jobs: mpsc::SyncSender<Job>,
    handle: JoinHandle<()>,
}

impl Writer {
    pub(crate) fn start(handle: &Handle) -> Result<Self, Failure> {
        let queue = handle.config.queue.clamp(1, Semaphore::MAX_PERMITS);
        let slot = Slot::new(handle, Role::Writer);
        let (jobs, handle) = worker::spawn("sqlite-writer", slot, queue)?;
        Ok(Self { room: Arc::new(Semaphore::new(queue)), thread: Mutex::new(Some(Thread { jobs, handle })) })
    }

    /// Runs `work` on the thread, in the order of calls. Once it was handed over it is done whole, even if the future
    /// is dropped.
    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T, OperationError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Slot) -> Result<T, OperationError> + Send + 'static,
    {
        let closed = || OperationError::Failed(Failure::Unreachable("the source was closed".into()));
        let place = self.room.clone().acquire_owned().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |slot| {
            let result = work(slot);
            drop(place);
            // nobody waits any more: the operation stands all the same
            let _ = answer.send(result);
        });
        let jobs = {
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            thread.as_ref().map(|thread| thread.jobs.clone()).ok_or_else(closed)?
        };
        jobs.try_send(job).map_err(|_| closed())?;
        // a caller that waits must not keep the thread from ending
        drop(jobs);
        answered.await.unwrap_or_else(|_| {
            Err(OperationError::Unknown(Failure::Unreachable("the writer gave no answer".into())))
        })
    }

    /// Takes nothing more; returns the thread, which ends when what it took is done.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        self.room.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map(|thread| thread.handle)
    }
}
