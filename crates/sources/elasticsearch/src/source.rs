use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Count, Counted, Digests, EventId, Failure, Find, Findings,
    FoundEvent, Head, Identity, LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError,
    Position, QuarantinePlace, Quarantined, ReadCategory, ReadLog, ReadStream, RefusedReason, Repair,
    Repaired, Source, StreamPage, Strip, Term, Truncate,
};
use polylog_source_servers::{
    page::{Guess, Sized},
    pool::Pool,
    wait::Watcher,
};

use crate::{
    ElasticsearchConfig, append, apply,
    connection::Handle,
    digest,
    error::EngineError,
    index, lease,
    operation::{Request, Writer},
    read,
    wait::{TailLook, watcher},
};

/// Indices of a cluster that hold a copy of the log. Several processes may use the same ones.
pub struct ElasticsearchSource {
    pub(crate) handle: Arc<Handle>,
    writer: Pool<Writer>,
    readers: Pool<()>,
    watcher: Watcher<TailLook>,
    /// Bytes of an event on average in the last page: how many documents the next one asks for.
    average: AtomicUsize,
}

/// The head holds a commit in flight beside what else it holds, and its bytes as text: a server takes 100 MiB.
const LIMITS: Limits =
    Limits { event_bytes: 8 << 20, metadata_bytes: 1 << 20, commit_events: 4_000, commit_bytes: 8 << 20 };

/// What a document of an event has beside data and metadata, at most as far as names are short.
const EVENT_OVERHEAD: u64 = 1 << 10;

/// An operation of the writer, on what was asked of which log.
type Work<A, T> = for<'a> fn(&'a mut Writer, &'a Identity, &'a A) -> BoxFuture<'a, Result<T, OperationError>>;

impl ElasticsearchSource {
    /// Opens provisioned indices; writes nothing that changes the log.
    ///
    /// # Errors
    /// No server can be reached, the indices are not provisioned or not fit for the source's role, or the log has lost what
    /// its head says it has.
    pub async fn open(config: ElasticsearchConfig) -> Result<Self, Failure> {
        let handle = Arc::new(Handle::new(config));
        handle.measure_room().await.map_err(|error| error.failure())?;
        handle.check_standing().await.map_err(|error| error.failure())?;
        let head = handle.check().await.map_err(|error| error.failure())?;
        handle.history.remember(&head);
        let readers = Pool::new(handle.config.readers);
        let watcher = watcher(&handle, head.tail.position);
        Ok(Self { handle, writer: Pool::new(1), readers, watcher, average: AtomicUsize::new(1_000) })
    }

    /// Ends the source: what was handed to it is done first, what comes later is refused. May be called again.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
        self.watcher.close().await;
    }

    /// Runs an operation of the writer, in the order of the calls. Once it is the operation's turn it is done whole, even
    /// if the future is dropped.
    async fn write<A, T>(&self, of: &Identity, asked: A, work: Work<A, T>) -> Result<T, OperationError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let of = *of;
        let make = || Writer::new(self.handle.clone(), self.watcher.sender());
        let mut place = self.writer.take(make).await.map_err(OperationError::Failed)?;
        let done = tokio::spawn(async move {
            let answer = work(&mut place.thing, &of, &asked).await;
            place.put_back();
            answer
        });
        let lost = |_| OperationError::Unknown(Failure::Unreachable("the writer gave no answer".into()));
        done.await.unwrap_or_else(|error| Err(lost(error)))
    }

    async fn read<T>(&self, reading: impl Future<Output = Result<T, EngineError>>) -> Result<T, Failure> {
        let place = self.readers.take(|| ()).await?;
        let answer = reading.await;
        place.put_back();
        answer.map_err(|error| error.failure())
    }

    /// Reads a page, knowing how large events are, and notices when the log went back.
    async fn read_page<T, R>(&self, read: R, head: impl Fn(&T) -> &Head) -> Result<T, Failure>
    where
        R: AsyncFnOnce(&Handle, Guess) -> Result<Sized<T>, EngineError>,
    {
        let seen = self.handle.history.seen();
        let average = self.average.load(Ordering::Relaxed);
        let guess = Guess { average, most_rows: self.handle.config.page_documents };
        let (page, average) = self.read(read(&self.handle, guess)).await?;
        self.average.store(average, Ordering::Relaxed);
        self.handle.history.compare(seen, head(&page))?;
        Ok(page)
    }

    async fn operate(&self, of: &Identity, request: Request) -> Result<Head, OperationError> {
        let work: Work<Request, Head> = |writer, of, request| {
            Box::pin(async move { writer.operate(of, request).await.map(|effect| effect.head) })
        };
        self.write(of, request, work).await
    }
}

#[async_trait]
impl Source for ElasticsearchSource {
    async fn head(&self) -> Result<Head, Failure> {
        match self.handle.config.may_vote {
            true => self.read(self.handle.confirmed_head()).await,
            false => self.read(self.handle.head_alone()).await,
        }
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        self.operate(of, Request::Promise(term, nonce)).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        self.operate(of, Request::Open(open)).await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        let work: Work<_, _> = |writer, of, append| Box::pin(append::in_parts(writer, of, append));
        self.write(of, append, work).await
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        let work: Work<_, _> = |writer, of, apply| Box::pin(apply::in_parts(writer, of, apply));
        self.write(of, apply, work).await
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        self.operate(of, Request::Truncate(truncate)).await
    }

    /// Not in this version: what is damaged there is found and told, and stays.
    async fn repair(&self, _: &Identity, _: Repair) -> Result<Repaired, OperationError> {
        let message = "this version cannot write documents back".into();
        Err(OperationError::Failed(Failure::Refused { reason: RefusedReason::Unsuitable, message }))
    }

    /// Not in this version: data stays.
    async fn strip(&self, _: &Identity, _: Strip) -> Result<Head, OperationError> {
        let message = "this version cannot drop data from documents".into();
        Err(OperationError::Failed(Failure::Refused { reason: RefusedReason::Unsuitable, message }))
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        let pages = async |handle: &Handle, guess| read::log(handle, &read, guess).await;
        self.read_page(pages, |page: &LogPage| &page.head).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        let pages = async |handle: &Handle, guess| read::stream(handle, &read, guess).await;
        self.read_page(pages, |page: &StreamPage| &page.head).await
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        let pages = async |handle: &Handle, guess| read::category(handle, &read, guess).await;
        self.read_page(pages, |page: &CategoryPage| &page.head).await
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        let seen = self.handle.history.seen();
        let found = self.read(read::find(&self.handle, id)).await?;
        self.handle.history.compare(seen, &found.head)?;
        Ok(found)
    }

    /// What was read of the head is confirmed by a write.
    fn reads_write(&self) -> bool {
        true
    }

    fn has_index(&self) -> bool {
        true
    }

    async fn find_by_index(&self, find: Find) -> Result<Option<Findings>, Failure> {
        let seen = self.handle.history.seen();
        let found = self.read(index::answer(&self.handle, &find)).await?;
        found.iter().try_for_each(|found| self.handle.history.compare(seen, &found.head))?;
        Ok(found)
    }

    async fn count_by_index(&self, count: Count) -> Result<Option<Counted>, Failure> {
        let seen = self.handle.history.seen();
        let counted = self.read(index::answer(&self.handle, &count)).await?;
        counted.iter().try_for_each(|counted| self.handle.history.compare(seen, &counted.head))?;
        Ok(counted)
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.read(digest::digests(&self.handle, &range)).await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.read(read::quarantine(&self.handle, (after, limit))).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.watcher.wait(after, at_most).await;
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        let work: Work<_, _> = |writer, of, swap| Box::pin(lease::lease(&writer.handle, of, swap));
        self.write(of, swap, work).await
    }

    fn limits(&self) -> Limits {
        let room = self.handle.room() as u64;
        LIMITS.intersect(Limits {
            event_bytes: room,
            metadata_bytes: room,
            commit_events: (room / EVENT_OVERHEAD).max(1),
            commit_bytes: room,
        })
    }
}
