use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use polylog_log::Failure;

use crate::connection::Slot;

/// After this long without work a connection's cached pages are given back.
const IDLE: Duration = Duration::from_secs(10);

pub(crate) type Job = Box<dyn FnOnce(&mut Slot) + Send>;

/// A thread with a connection of its own; ends when every sender of jobs is gone.
///
/// SQLite blocks: on the disk, and on other processes' locks. Neither may hold up the async runtime.
pub(crate) fn spawn(
    name: &str,
    slot: Slot,
    queue: usize,
) -> Result<(mpsc::SyncSender<Job>, JoinHandle<()>), Failure> {
    let (sender, jobs) = mpsc::sync_channel(queue);
    let thread = thread::Builder::new()
        .name(name.into())
        .spawn(move || work(slot, &jobs))
        .map_err(|error| Failure::Unreachable(format!("no thread for the database: {error}")))?;
    Ok((sender, thread))
}

fn work(mut slot: Slot, jobs: &mpsc::Receiver<Job>) {
    let mut is_shrunk = true;
    loop {
        let next = if is_shrunk {
            jobs.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        } else {
            jobs.recv_timeout(IDLE)
        };
        match next {
            Ok(job) => {
                // the caller of a job that panics sees its answer dropped; the next one finds a fresh connection
                let outcome = catch_unwind(AssertUnwindSafe(|| job(&mut slot)));
                if outcome.is_err() {
                    slot.close();
                }
                is_shrunk = false;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                slot.shrink();
                is_shrunk = true;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}
