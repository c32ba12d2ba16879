//! A source whose database need not answer when the process begins.

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Digests, EventId, Failure, FoundEvent, Head, Identity,
    LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError, Position, Quarantined,
    ReadCategory, ReadLog, ReadStream, Source, StreamPage, Term, Truncate,
};
use tokio::sync::Mutex;

use super::{OpenSource, StorePlace};

/// Between two tries to open it.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A source that is opened with the first operation that finds its database there.
pub(crate) struct LateSource {
    place: StorePlace,
    /// What it could hold when it was seen last.
    limits: Limits,
    opened: ArcSwapOption<(OpenSource, Arc<dyn Source>)>,
    /// Why it could not be opened, and when that was tried.
    failed: Mutex<(Failure, Option<Instant>)>,
}

impl LateSource {
    pub(crate) fn new(place: StorePlace, limits: Limits, opened: Result<OpenSource, Failure>) -> Self {
        let (opened, failure) = match opened {
            Ok(source) => (Some(source), Failure::Unreachable("it was open before".into())),
            Err(failure) => (None, failure),
        };
        let failed = Mutex::new((failure, opened.is_none().then(Instant::now)));
        let opened = opened.map(|source| Arc::new((source.clone(), source.shared())));
        Self { place, limits, opened: ArcSwapOption::new(opened), failed }
    }

    /// The setting because of which the source may lose what it acknowledged, as far as it is known.
    pub(crate) async fn unsafe_setting(&self) -> Option<String> {
        let opened = self.opened.load_full()?;
        opened.0.unsafe_setting().await.ok()?
    }

    /// Ends the source: what was handed to it is done first.
    pub(crate) async fn close(&self) {
        if let Some(opened) = self.opened.load_full() {
            opened.0.close().await;
        }
    }

    async fn get(&self) -> Result<Arc<dyn Source>, Failure> {
        if let Some(opened) = self.opened.load_full() {
            return Ok(opened.1.clone());
        }
        let mut failed = self.failed.lock().await;
        if let Some(opened) = self.opened.load_full() {
            return Ok(opened.1.clone());
        }
        if failed.1.is_some_and(|tried| tried.elapsed() < AGAIN_AFTER) {
            return Err(failed.0.clone());
        }
        match self.place.connect().await {
            Ok(source) => {
                let shared = source.shared();
                self.opened.store(Some(Arc::new((source, shared.clone()))));
                Ok(shared)
            }
            Err(failure) => {
                *failed = (failure.clone(), Some(Instant::now()));
                Err(failure)
            }
        }
    }

    async fn to_change(&self) -> Result<Arc<dyn Source>, OperationError> {
        self.get().await.map_err(OperationError::Failed)
    }
}

#[async_trait]
impl Source for LateSource {
    async fn head(&self) -> Result<Head, Failure> {
        self.get().await?.head().await
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        self.to_change().await?.promise(of, term, nonce).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        self.to_change().await?.open(of, open).await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        self.to_change().await?.append(of, append).await
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        self.to_change().await?.apply(of, apply).await
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        self.to_change().await?.truncate(of, truncate).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        self.get().await?.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        self.get().await?.read_stream(read).await
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        self.get().await?.read_category(read).await
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        self.get().await?.find(id).await
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.get().await?.digests(range).await
    }

    async fn quarantine(&self, after: u64, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.get().await?.quarantine(after, limit).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        match self.get().await {
            Ok(source) => source.wait(after, at_most).await,
            Err(_) => tokio::time::sleep(at_most).await,
        }
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        self.to_change().await?.lease(of, swap).await
    }

    fn limits(&self) -> Limits {
        self.opened.load().as_ref().map_or(self.limits, |opened| opened.1.limits())
    }
}
