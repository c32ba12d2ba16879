//! A source that cannot be reached now.

use std::{ops::RangeInclusive, time::Duration};

use async_trait::async_trait;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Digests, EventId, Failure, FoundEvent, Head, Identity,
    LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError, Position, QuarantinePlace,
    Quarantined, ReadCategory, ReadLog, ReadStream, Repair, Repaired, Select, Selected, Source, StreamPage,
    Strip, Tallied, Tally, Term, Truncate,
};

/// What any of our databases takes as it is delivered: nobody can ask this one.
const LIMITS: Limits =
    Limits { event_bytes: 8 << 20, metadata_bytes: 2 << 20, commit_events: 100_000, commit_bytes: 512 << 20 };

/// Answers every operation with why there is no connection.
pub(crate) struct AwaySource(pub(crate) Failure);

impl AwaySource {
    fn read<T>(&self) -> Result<T, Failure> {
        Err(self.0.clone())
    }

    fn change<T>(&self) -> Result<T, OperationError> {
        Err(OperationError::Failed(self.0.clone()))
    }
}

#[async_trait]
impl Source for AwaySource {
    async fn head(&self) -> Result<Head, Failure> {
        self.read()
    }

    async fn promise(&self, _: &Identity, _: Term, _: Nonce) -> Result<Head, OperationError> {
        self.change()
    }

    async fn open(&self, _: &Identity, _: Open) -> Result<Head, OperationError> {
        self.change()
    }

    async fn append(&self, _: &Identity, _: Append) -> Result<Appended, OperationError> {
        self.change()
    }

    async fn apply(&self, _: &Identity, _: Apply) -> Result<Head, OperationError> {
        self.change()
    }

    async fn truncate(&self, _: &Identity, _: Truncate) -> Result<Head, OperationError> {
        self.change()
    }

    async fn repair(&self, _: &Identity, _: Repair) -> Result<Repaired, OperationError> {
        self.change()
    }

    async fn strip(&self, _: &Identity, _: Strip) -> Result<Head, OperationError> {
        self.change()
    }

    async fn read_log(&self, _: ReadLog) -> Result<LogPage, Failure> {
        self.read()
    }

    async fn read_stream(&self, _: ReadStream) -> Result<StreamPage, Failure> {
        self.read()
    }

    async fn read_category(&self, _: ReadCategory) -> Result<CategoryPage, Failure> {
        self.read()
    }

    async fn find(&self, _: EventId) -> Result<FoundEvent, Failure> {
        self.read()
    }

    async fn select(&self, _: Select) -> Result<Selected, Failure> {
        self.read()
    }

    async fn tally(&self, _: Tally) -> Result<Tallied, Failure> {
        self.read()
    }

    async fn digests(&self, _: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.read()
    }

    async fn quarantine(&self, _: QuarantinePlace, _: usize) -> Result<Vec<Quarantined>, Failure> {
        self.read()
    }

    async fn wait(&self, _: Position, at_most: Duration) {
        tokio::time::sleep(at_most).await;
    }

    async fn lease(&self, _: &Identity, _: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        self.change()
    }

    fn limits(&self) -> Limits {
        LIMITS
    }
}
