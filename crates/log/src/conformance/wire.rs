//! A connection on which requests and answers are lost, come late, or come twice.

use std::{
    future::Future,
    ops::RangeInclusive,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::{Kit, subject::Checked};
use crate::{
    Append, Appended, Apply, CategoryPage, Count, Counted, Digests, EventId, Failure, Find, Findings,
    FoundEvent, Head, Identity, LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError,
    Position, QuarantinePlace, Quarantined, ReadCategory, ReadLog, ReadStream, Repair, Repaired, Select,
    Selected, Source, StreamPage, Strip, Tallied, Tally, Term, Truncate,
};

type Request = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module.
pub(crate) struct Wire {
    source: Arc<dyn Source>,
    kit: Kit,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Sent, and not arrived yet.
    late: Vec<Request>,
    arrived: JoinSet<()>,
}

impl Wire {
    pub(crate) fn new(source: Arc<dyn Source>, kit: &Kit) -> Arc<Self> {
        Arc::new(Self { source, kit: kit.clone(), state: Mutex::default() })
    }

    /// Lets everything arrive that was sent.
    pub(crate) async fn settle(&self) -> Checked {
        let mut arrived = self.with(|state| {
            let late = std::mem::take(&mut state.late);
            late.into_iter().for_each(|request| drop(state.arrived.spawn(request)));
            std::mem::take(&mut state.arrived)
        });
        while let Some(done) = arrived.join_next().await {
            done?;
        }
        Ok(())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An earlier request may arrive now, out of order.
    fn time_passes(&self) {
        self.with(|state| {
            if !state.late.is_empty() && self.kit.once_in(3) {
                let index = self.kit.below(state.late.len());
                let request = state.late.swap_remove(index);
                state.arrived.spawn(request);
            }
        });
    }

    fn arrives_later<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, OperationError>> + Send + 'static,
    ) {
        // nobody waits for this answer any more
        self.with(|state| state.late.push(Box::pin(async { drop(request.await) })));
    }

    async fn send<T, F, Answer>(&self, request: F) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: Fn(Arc<dyn Source>) -> Answer,
        Answer: Future<Output = Result<T, OperationError>> + Send + 'static,
    {
        self.time_passes();
        let lost = Err(OperationError::Unknown(Failure::Timeout(Duration::ZERO)));
        match self.kit.below(10) {
            0 => lost,
            1 => {
                // executed, whatever came of it; its answer is lost
                drop(request(self.source.clone()).await);
                lost
            }
            2 => {
                self.arrives_later(request(self.source.clone()));
                lost
            }
            3 => {
                self.arrives_later(request(self.source.clone()));
                request(self.source.clone()).await
            }
            4 => {
                let (first, _) = tokio::join!(request(self.source.clone()), request(self.source.clone()));
                first
            }
            _ => request(self.source.clone()).await,
        }
    }

    fn read_lost(&self) -> Result<(), Failure> {
        self.time_passes();
        if self.kit.once_in(12) { Err(Failure::Timeout(Duration::ZERO)) } else { Ok(()) }
    }
}

#[async_trait]
impl Source for Wire {
    async fn head(&self) -> Result<Head, Failure> {
        self.read_lost()?;
        self.source.head().await
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        let of = *of;
        self.send(|source| async move { source.promise(&of, term, nonce).await }).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        let of = *of;
        self.send(|source| {
            let open = open.clone();
            async move { source.open(&of, open).await }
        })
        .await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        let of = *of;
        self.send(|source| {
            let append = append.clone();
            async move { source.append(&of, append).await }
        })
        .await
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        let of = *of;
        self.send(|source| {
            let apply = apply.clone();
            async move { source.apply(&of, apply).await }
        })
        .await
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        let of = *of;
        self.send(|source| async move { source.truncate(&of, truncate).await }).await
    }

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        let of = *of;
        self.send(|source| {
            let repair = repair.clone();
            async move { source.repair(&of, repair).await }
        })
        .await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        let of = *of;
        self.send(|source| {
            let strip = strip.clone();
            async move { source.strip(&of, strip).await }
        })
        .await
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        self.read_lost()?;
        self.source.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        self.read_lost()?;
        self.source.read_stream(read).await
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        self.read_lost()?;
        self.source.read_category(read).await
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        self.read_lost()?;
        self.source.find(id).await
    }

    async fn select(&self, select: Select) -> Result<Selected, Failure> {
        self.read_lost()?;
        self.source.select(select).await
    }

    async fn tally(&self, tally: Tally) -> Result<Tallied, Failure> {
        self.read_lost()?;
        self.source.tally(tally).await
    }

    fn reads_write(&self) -> bool {
        self.source.reads_write()
    }

    fn has_index(&self) -> bool {
        self.source.has_index()
    }

    async fn find_by_index(&self, find: Find) -> Result<Option<Findings>, Failure> {
        self.read_lost()?;
        self.source.find_by_index(find).await
    }

    async fn count_by_index(&self, count: Count) -> Result<Option<Counted>, Failure> {
        self.read_lost()?;
        self.source.count_by_index(count).await
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.read_lost()?;
        self.source.digests(range).await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.read_lost()?;
        self.source.quarantine(after, limit).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        self.source.wait(after, at_most).await;
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        let of = *of;
        self.send(|source| {
            let swap = swap.clone();
            async move { source.lease(&of, swap).await }
        })
        .await
    }

    fn limits(&self) -> Limits {
        self.source.limits()
    }
}
