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
    Append, Appended, Apply, CategoryPage, Digests, EventId, Failure, FoundEvent, Head, Identity,
    LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError, Position, QuarantinePlace,
    Quarantined, ReadCategory, ReadLog, ReadStream, Repair, Repaired, Source, StreamPage, Strip, Term,
    Truncate,
};
use polylog_source_servers::{
    page::{Guess, Sized},
    pool::Pool,
    wait::Watcher,
};

use crate::{
    MongodbConfig, append, apply,
    connection::Handle,
    digest,
    durability::UNHEEDED,
    error::EngineError,
    lease,
    operation::{Request, Writer},
    quarantine, read, repair, strip,
    wait::{TailLook, watcher},
};

/// A database on a MongoDB server that holds a copy of the log. Several processes may use the same one.
pub struct MongodbSource {
    pub(crate) handle: Arc<Handle>,
    writer: Pool<Writer>,
    readers: Pool<()>,
    watcher: Watcher<TailLook>,
    /// Bytes of an event on average in the last page: how many documents the next one asks for.
    average: AtomicUsize,
}

/// The head holds a commit in flight beside what else it holds, and a document ends at 16 MiB.
const LIMITS: Limits =
    Limits { event_bytes: 8 << 20, metadata_bytes: 1 << 20, commit_events: 4_000, commit_bytes: 8 << 20 };

/// An operation of the writer, on what was asked of which log.
type Work<A, T> = for<'a> fn(&'a mut Writer, &'a Identity, &'a A) -> BoxFuture<'a, Result<T, OperationError>>;

impl MongodbSource {
    /// Opens a provisioned database; writes nothing.
    ///
    /// # Errors
    /// The server cannot be reached or may lose what it acknowledges, the database is not provisioned, or its log has lost
    /// what the head says it has.
    pub async fn open(config: MongodbConfig) -> Result<Self, Failure> {
        let handle = Arc::new(Handle::new(config));
        let checked = async {
            let head = handle.check().await?;
            handle.check_durability().await?;
            Ok::<_, EngineError>(head)
        };
        let head = checked.await.map_err(|error| error.failure())?;
        handle.history.remember(&head);
        handle.is_open.store(true, Ordering::Relaxed);
        let readers = Pool::new(handle.config.readers);
        let watcher = watcher(&handle, head.tail.position);
        Ok(Self { handle, writer: Pool::new(1), readers, watcher, average: AtomicUsize::new(1_000) })
    }

    /// Why the server may lose what it acknowledged, if it may; only where that was allowed.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        let heeds = async { self.handle.heeds_write_concerns(&self.handle.connected().await?.leases).await };
        let heeds = heeds.await.map_err(|error| error.failure())?;
        Ok((!heeds).then(|| UNHEEDED.to_owned()))
    }

    /// Ends the source: what was handed to it is done first, what comes later is refused. May be called again.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
        self.watcher.close().await;
        self.handle.close().await;
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
impl Source for MongodbSource {
    async fn head(&self) -> Result<Head, Failure> {
        self.read(self.handle.head_alone()).await
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

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        let work: Work<_, _> = |writer, of, repair| Box::pin(repair::repair(writer, of, repair));
        self.write(of, repair, work).await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        let work: Work<_, _> = |writer, of, strip| Box::pin(strip::strip(writer, of, strip));
        self.write(of, strip, work).await
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

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.read(digest::digests(&self.handle, &range)).await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.read(quarantine::quarantine(&self.handle, after, limit)).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.watcher.wait(after, at_most).await;
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        let work: Work<_, _> = |writer, of, swap| Box::pin(lease::lease(&writer.handle, of, swap));
        self.write(of, swap, work).await
    }

    fn limits(&self) -> Limits {
        LIMITS
    }
}
