use std::{ops::RangeInclusive, sync::Arc, thread::JoinHandle, time::Duration};

use async_trait::async_trait;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Digests, EventId, Failure, FoundEvent, Head, Identity,
    LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError, Position, QuarantinePlace,
    Quarantined, ReadCategory, ReadLog, ReadStream, Repair, Repaired, Select, Selected, Source, StreamPage,
    Strip, Tallied, Tally, Term, Truncate,
};
use tokio::sync::watch;

use crate::{
    SqliteConfig, append, apply,
    connection::{Handle, Slot},
    digest, election, head, lease, read,
    readers::Readers,
    repair, schema, search, strip,
    wait::Watcher,
    writer::Writer,
};

/// A SQLite file that holds a copy of the log. Several processes may use the same file.
pub struct SqliteSource {
    writer: Writer,
    readers: Readers,
    watcher: Watcher,
}

impl SqliteSource {
    /// Opens a provisioned file; writes nothing.
    pub async fn open(config: SqliteConfig) -> Result<Self, Failure> {
        let handle = Handle::new(config);
        let readers = Readers::new(&handle);
        let head = readers.run(check).await?;
        Ok(Self {
            writer: Writer::start(&handle)?,
            watcher: Watcher::new(&handle, head.tail.position),
            readers,
        })
    }

    /// Ends the source: what was handed to it is done first, what comes later is refused. May be called again.
    ///
    /// The writer's connection is the last to go: connections that close at the same time each see the other, and none
    /// of them writes the write-ahead log into the file.
    pub async fn close(&self) {
        let mut threads = self.readers.close();
        threads.extend(self.watcher.close());
        join(threads).await;
        join(self.writer.close()).await;
    }

    /// Runs an operation on the writer's thread.
    async fn write<T, W>(&self, work: W) -> Result<T, OperationError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Slot, &watch::Sender<Position>) -> Result<T, OperationError> + Send + 'static,
    {
        let tail: Arc<watch::Sender<Position>> = self.watcher.sender();
        self.writer.run(move |slot| work(slot, &tail)).await
    }
}

async fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        // a thread that panicked has ended too; whoever waited for its answer knows
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// The head of a file whose tables fit together.
fn check(slot: &mut Slot) -> Result<Head, Failure> {
    read::snapshot(slot, |connection| {
        let head = head::load(connection)?;
        head::check_tail(connection, &head)?;
        schema::check_unique(connection)?;
        Ok(head)
    })
}

#[async_trait]
impl Source for SqliteSource {
    async fn head(&self) -> Result<Head, Failure> {
        self.readers.run(read::head).await
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        let of = *of;
        self.write(move |slot, tail| election::promise(slot, &of, term, nonce, tail)).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        let of = *of;
        self.write(move |slot, tail| election::open(slot, &of, &open, tail)).await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        let of = *of;
        self.write(move |slot, tail| append::append(slot, &of, &append, tail)).await
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        let of = *of;
        self.write(move |slot, tail| apply::apply(slot, &of, &apply, tail)).await
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        let of = *of;
        self.write(move |slot, tail| election::truncate(slot, &of, &truncate, tail)).await
    }

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        let of = *of;
        self.write(move |slot, _| repair::repair(slot, &of, &repair)).await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        let of = *of;
        self.write(move |slot, _| strip::strip(slot, &of, &strip)).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        self.readers.run(move |slot| read::log(slot, &read)).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        self.readers.run(move |slot| read::stream(slot, &read)).await
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        self.readers.run(move |slot| read::category(slot, &read)).await
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        self.readers.run(move |slot| read::find(slot, id)).await
    }

    async fn select(&self, select: Select) -> Result<Selected, Failure> {
        self.readers.run(move |slot| search::select(slot, &select)).await
    }

    async fn tally(&self, tally: Tally) -> Result<Tallied, Failure> {
        self.readers.run(move |slot| search::tally(slot, &tally)).await
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.readers.run(move |slot| digest::digests(slot, &range)).await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.readers.run(move |slot| read::quarantine(slot, after, limit)).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.watcher.wait(after, at_most).await;
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        let of = *of;
        self.write(move |slot, _| lease::lease(slot, &of, &swap)).await
    }

    fn limits(&self) -> Limits {
        // a row holds 1,000,000,000 bytes at most (SQLITE_MAX_LENGTH); a page of the log holds a commit whole in memory
        Limits {
            event_bytes: 500_000_000,
            metadata_bytes: 100_000_000,
            commit_events: 1_000_000,
            commit_bytes: 1_000_000_000,
        }
    }
}
