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
    Quarantined, ReadCategory, ReadLog, ReadStream, Repair, Repaired, Select, Selected, Source, StreamPage,
    Strip, Tallied, Tally, Term, Truncate,
};
use polylog_source_servers::{
    page::{Guess, Sized},
    wait::Watcher,
};
use sqlx::PgConnection;

use crate::{
    PostgresConfig, append, apply,
    connection::{Handle, Slot},
    digest, election,
    error::EngineError,
    head, history, lease,
    operation::{Stopped, Writer},
    pool::Pool,
    quarantine, read, repair, search, settings, strip,
    wait::{TailLook, watcher},
};

/// A schema in a PostgreSQL database that holds a copy of the log. Several processes may use the same one.
pub struct PostgresSource {
    handle: Arc<Handle>,
    writer: Pool<Writer>,
    readers: Pool<Slot>,
    watcher: Watcher<TailLook>,
    /// Bytes of an event on average in the last page: how many rows the next one asks for.
    average: AtomicUsize,
}

/// An operation of the writer, on what was asked of which log.
type Work<A, T> = for<'a> fn(&'a mut Writer, &'a Identity, &'a A) -> BoxFuture<'a, Result<T, Stopped>>;

impl PostgresSource {
    /// Opens a provisioned schema; writes nothing.
    pub async fn open(config: PostgresConfig) -> Result<Self, Failure> {
        let handle = Arc::new(Handle::new(config));
        let readers = Pool::new(handle.config.readers);
        let head = run(&handle, &readers, |connection| Box::pin(head::check_tail(connection))).await?;
        handle.history.remember(&head);
        let watcher = watcher(&handle, head.tail.position);
        Ok(Self { handle, writer: Pool::new(1), readers, watcher, average: AtomicUsize::new(1_000) })
    }

    /// The setting because of which the server may lose what it acknowledged, as it is; only where that was allowed.
    pub async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        self.read(|connection| Box::pin(settings::unsafe_setting(connection))).await
    }

    /// Ends the source: what was handed to it is done first, what comes later is refused. May be called again.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
        self.watcher.close().await;
    }

    /// Runs an operation on the writing connection, in the order of the calls. Once it is the operation's turn it is
    /// done whole, even if the future is dropped.
    async fn write<A, T>(&self, of: &Identity, asked: A, work: Work<A, T>) -> Result<T, OperationError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let of = *of;
        let make = || Writer::new(self.handle.clone(), self.watcher.sender());
        let mut place = self.writer.take(make).await.map_err(OperationError::Failed)?;
        let done = tokio::spawn(async move {
            let writer = &mut place.thing;
            writer.prepare();
            let patience = writer.handle.config.request_timeout;
            let result = match tokio::time::timeout(patience, work(writer, &of, &asked)).await {
                Ok(result) => result,
                Err(_) => Err(Stopped::late(patience, writer.is_committing)),
            };
            let answer = writer.settle(result);
            place.put_back();
            answer
        });
        let lost = |_| OperationError::Unknown(Failure::Unreachable("the writer gave no answer".into()));
        done.await.unwrap_or_else(|error| Err(lost(error)))
    }

    async fn read<T, W>(&self, work: W) -> Result<T, Failure>
    where
        T: Send,
        W: for<'a> Fn(&'a mut PgConnection) -> BoxFuture<'a, Result<T, EngineError>> + Send + Sync,
    {
        run(&self.handle, &self.readers, work).await
    }

    /// Reads a page, knowing how large events are.
    async fn read_page<T, W>(&self, work: W) -> Result<T, Failure>
    where
        T: Send,
        W: for<'a> Fn(&'a mut PgConnection, Guess) -> BoxFuture<'a, Result<Sized<T>, EngineError>>
            + Send
            + Sync,
    {
        let average = self.average.load(Ordering::Relaxed);
        let guess = Guess { average, most_rows: self.handle.config.page_rows };
        let (page, average) = self.read(|connection| work(connection, guess)).await?;
        self.average.store(average, Ordering::Relaxed);
        Ok(page)
    }
}

/// Runs `work` on a reading connection; once more on a new one when the server was restarted since the last use.
async fn run<T, W>(handle: &Arc<Handle>, readers: &Pool<Slot>, work: W) -> Result<T, Failure>
where
    W: for<'a> Fn(&'a mut PgConnection) -> BoxFuture<'a, Result<T, EngineError>>,
{
    let mut place = readers.take(Slot::default).await?;
    let patience = handle.config.request_timeout;
    let reading = async {
        let (connection, was_open) = place.thing.connection(handle).await?;
        match work(connection).await {
            Err(error) if was_open && error.is_lost_connection() => {
                place.thing.close();
                let (connection, _) = place.thing.connection(handle).await?;
                work(connection).await
            }
            result => result,
        }
    };
    let result = match tokio::time::timeout(patience, reading).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Timeout(patience).into()),
    };
    if result.is_err() {
        place.thing.close();
    }
    place.put_back();
    result.map_err(|error| error.failure(handle.patience()))
}

#[async_trait]
impl Source for PostgresSource {
    async fn head(&self) -> Result<Head, Failure> {
        let handle = &self.handle;
        self.read(|connection| {
            let handle = handle.clone();
            Box::pin(async move {
                let seen = handle.history.seen();
                let head = head::load(connection).await?.head;
                history::prove(&handle.history, connection, seen, &head).await?;
                Ok(head)
            })
        })
        .await
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        let work: Work<_, _> =
            |writer, of, (term, nonce)| Box::pin(election::promise(writer, of, *term, *nonce));
        self.write(of, (term, nonce), work).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        self.write(of, open, |writer, of, open| Box::pin(election::open(writer, of, open))).await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        let work: Work<_, _> = |writer, of, append| Box::pin(append::append(writer, of, append));
        let appended = self.write(of, append, work).await?;
        self.handle.history.remember(&appended.head);
        Ok(appended)
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        let work: Work<_, _> = |writer, of, apply| Box::pin(apply::apply(writer, of, apply));
        let head = self.write(of, apply, work).await?;
        self.handle.history.remember(&head);
        Ok(head)
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        let work: Work<_, _> = |writer, of, truncate| Box::pin(election::truncate(writer, of, truncate));
        self.write(of, truncate, work).await
    }

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        self.write(of, repair, |writer, of, repair| Box::pin(repair::repair(writer, of, repair))).await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        self.write(of, strip, |writer, of, strip| Box::pin(strip::strip(writer, of, strip))).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        let seen = self.handle.history.seen();
        let page = self
            .read_page(|connection, guess| Box::pin(async move { read::log(connection, &read, guess).await }))
            .await?;
        self.handle.history.compare(seen, &page.head)?;
        Ok(page)
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        let seen = self.handle.history.seen();
        let read = &Arc::new(read);
        let page = self
            .read_page(|connection, guess| {
                let read = read.clone();
                Box::pin(async move { read::stream(connection, &read, guess).await })
            })
            .await?;
        self.handle.history.compare(seen, &page.head)?;
        Ok(page)
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        let seen = self.handle.history.seen();
        let read = &Arc::new(read);
        let page = self
            .read_page(|connection, guess| {
                let read = read.clone();
                Box::pin(async move { read::category(connection, &read, guess).await })
            })
            .await?;
        self.handle.history.compare(seen, &page.head)?;
        Ok(page)
    }

    async fn select(&self, select: Select) -> Result<Selected, Failure> {
        let seen = self.handle.history.seen();
        let select = &Arc::new(select);
        let page = self
            .read_page(|connection, guess| {
                let select = select.clone();
                Box::pin(async move { search::select(connection, &select, guess).await })
            })
            .await?;
        self.handle.history.compare(seen, &page.head)?;
        Ok(page)
    }

    async fn tally(&self, tally: Tally) -> Result<Tallied, Failure> {
        let seen = self.handle.history.seen();
        let tally = &Arc::new(tally);
        let tallied = self
            .read(|connection| {
                let tally = tally.clone();
                Box::pin(async move { search::tally(connection, &tally).await })
            })
            .await?;
        self.handle.history.compare(seen, &tallied.head)?;
        Ok(tallied)
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        let seen = self.handle.history.seen();
        let found = self.read(|connection| Box::pin(read::find(connection, id))).await?;
        self.handle.history.compare(seen, &found.head)?;
        Ok(found)
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        let range = &range;
        self.read(|connection| {
            let range = range.clone();
            Box::pin(async move { digest::digests(connection, &range).await })
        })
        .await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.read(|connection| Box::pin(quarantine::quarantine(connection, after, limit))).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.watcher.wait(after, at_most).await;
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        self.write(of, swap, |writer, of, swap| Box::pin(lease::lease(writer, of, swap))).await
    }

    fn limits(&self) -> Limits {
        // an array of the parameters of one statement holds 1 GiB at most, and a message as much
        Limits {
            event_bytes: 256 << 20,
            metadata_bytes: 64 << 20,
            commit_events: 100_000,
            commit_bytes: 512 << 20,
        }
    }
}
