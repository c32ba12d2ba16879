use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Count, Counted, Digests, EventId, Failure, Find, Findings,
    FoundEvent, Head, Identity, LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError,
    Position, QuarantinePlace, Quarantined, ReadCategory, ReadLog, ReadStream, Repair, Repaired, Select,
    Selected, Source, StreamPage, Strip, Tallied, Tally, Term, Truncate,
};

use crate::{metrics::SourceMetrics, operations::errors::of_source};

/// A source whose operations are counted and timed.
pub(crate) struct Observed {
    pub(crate) inner: Arc<dyn Source>,
    pub(crate) metrics: SourceMetrics,
}

/// What became of an operation that was answered: `ok`, `refused`, or a code.
trait Outcome {
    fn code(&self) -> &'static str;
}

impl<T> Outcome for Result<T, Failure> {
    fn code(&self) -> &'static str {
        self.as_ref().map_or_else(|failure| of_source(failure).code.text(), |_| "ok")
    }
}

impl<T> Outcome for Result<T, OperationError> {
    fn code(&self) -> &'static str {
        match self {
            Ok(_) => "ok",
            Err(OperationError::Refused { .. }) => "refused",
            Err(OperationError::Failed(failure) | OperationError::Unknown(failure)) => {
                of_source(failure).code.text()
            }
        }
    }
}

impl Observed {
    async fn timed<T: Outcome>(&self, operation: &'static str, answer: impl Future<Output = T> + Send) -> T {
        let mut timed = Timed { metrics: &self.metrics, operation, begin: Instant::now(), code: "abandoned" };
        let outcome = answer.await;
        timed.code = outcome.code();
        outcome
    }
}

/// An operation under way; counted when it is over, also where nobody waits for its answer any longer.
struct Timed<'a> {
    metrics: &'a SourceMetrics,
    operation: &'static str,
    begin: Instant,
    code: &'static str,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.metrics.answered(self.operation, self.code, self.begin.elapsed());
    }
}

#[async_trait]
impl Source for Observed {
    async fn head(&self) -> Result<Head, Failure> {
        self.timed("head", self.inner.head()).await
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        self.timed("promise", self.inner.promise(of, term, nonce)).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        self.timed("open", self.inner.open(of, open)).await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        self.metrics.batch(append.batch.len());
        self.timed("append", self.inner.append(of, append)).await
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        self.timed("apply", self.inner.apply(of, apply)).await
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        self.timed("truncate", self.inner.truncate(of, truncate)).await
    }

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        self.timed("repair", self.inner.repair(of, repair)).await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        self.timed("strip", self.inner.strip(of, strip)).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        self.timed("read_log", self.inner.read_log(read)).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        self.timed("read_stream", self.inner.read_stream(read)).await
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        self.timed("read_category", self.inner.read_category(read)).await
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        self.timed("find", self.inner.find(id)).await
    }

    async fn select(&self, select: Select) -> Result<Selected, Failure> {
        self.timed("select", self.inner.select(select)).await
    }

    async fn tally(&self, tally: Tally) -> Result<Tallied, Failure> {
        self.timed("tally", self.inner.tally(tally)).await
    }

    fn reads_write(&self) -> bool {
        self.inner.reads_write()
    }

    fn has_index(&self) -> bool {
        self.inner.has_index()
    }

    async fn find_by_index(&self, find: Find) -> Result<Option<Findings>, Failure> {
        self.timed("find_by_index", self.inner.find_by_index(find)).await
    }

    async fn count_by_index(&self, count: Count) -> Result<Option<Counted>, Failure> {
        self.timed("count_by_index", self.inner.count_by_index(count)).await
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.timed("digests", self.inner.digests(range)).await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.timed("quarantine", self.inner.quarantine(after, limit)).await
    }

    /// Not counted: how long it takes says when somebody appended, not how the source is.
    async fn wait(&self, after: Position, at_most: Duration) {
        self.inner.wait(after, at_most).await;
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        self.timed("lease", self.inner.lease(of, swap)).await
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }
}
