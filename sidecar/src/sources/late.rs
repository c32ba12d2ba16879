//! A source whose database need not answer when the process begins.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use async_trait::async_trait;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Count, Counted, Digests, EventId, Failure, Find, Findings,
    FoundEvent, Head, Identity, LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError,
    Position, QuarantinePlace, Quarantined, ReadCategory, ReadLog, ReadStream, Repair, Repaired, Select,
    Selected, Source, StreamPage, Strip, Tallied, Tally, Term, Truncate,
};

use super::{OpenSource, StorePlace, on_demand::OnDemand};

/// A source that is opened with the first operation that finds its database there.
pub(crate) struct LateSource {
    place: StorePlace,
    /// What it could hold when it was seen last.
    limits: Limits,
    opened: OnDemand<(OpenSource, Arc<dyn Source>)>,
}

impl LateSource {
    pub(crate) fn new(place: StorePlace, limits: Limits, opened: Result<OpenSource, Failure>) -> Self {
        let opened = opened.map(with_shared);
        Self { place, limits, opened: OnDemand::new(opened) }
    }

    /// The setting because of which the source may lose what it acknowledged, as far as it is known.
    pub(crate) async fn unsafe_setting(&self) -> Option<String> {
        self.opened.here()?.0.unsafe_setting().await.ok()?
    }

    /// Ends the source: what was handed to it is done first.
    pub(crate) async fn close(&self) {
        if let Some((opened, _)) = self.opened.here() {
            opened.close().await;
        }
    }

    async fn get(&self) -> Result<Arc<dyn Source>, Failure> {
        let connect = || {
            let place = self.place.clone();
            async move { place.connect().await.map(with_shared) }
        };
        Ok(self.opened.get(connect).await?.1)
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

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        self.to_change().await?.repair(of, repair).await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        self.to_change().await?.strip(of, strip).await
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

    async fn select(&self, select: Select) -> Result<Selected, Failure> {
        self.get().await?.select(select).await
    }

    async fn tally(&self, tally: Tally) -> Result<Tallied, Failure> {
        self.get().await?.tally(tally).await
    }

    fn reads_write(&self) -> bool {
        self.opened.here().is_some_and(|(_, source)| source.reads_write())
    }

    /// One that is not there yet has none.
    fn has_index(&self) -> bool {
        self.opened.here().is_some_and(|(_, source)| source.has_index())
    }

    async fn find_by_index(&self, find: Find) -> Result<Option<Findings>, Failure> {
        self.get().await?.find_by_index(find).await
    }

    async fn count_by_index(&self, count: Count) -> Result<Option<Counted>, Failure> {
        self.get().await?.count_by_index(count).await
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.get().await?.digests(range).await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
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
        self.opened.here().map_or(self.limits, |(_, source)| source.limits())
    }
}

fn with_shared(opened: OpenSource) -> (OpenSource, Arc<dyn Source>) {
    let shared = opened.shared();
    (opened, shared)
}
