//! A source whose connection is replaced while it is used.

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use polylog_log::{
    Append, Appended, Apply, CategoryPage, Count, Counted, Digests, EventId, Failure, Find, Findings,
    FoundEvent, Head, Identity, LeaseAnswer, LeaseSwap, Limits, LogPage, Nonce, Open, OperationError,
    Position, QuarantinePlace, Quarantined, ReadCategory, ReadLog, ReadStream, RefusedReason, Repair,
    Repaired, Select, Selected, Source, StreamPage, Strip, Tallied, Tally, Term, Truncate,
};
use tokio::sync::watch;

use crate::mounted::Refresh;

/// How long operations that the database refused wait for new credentials, which may be mounted and not read yet: a part
/// of the 5 s that a caller waits at most.
const PATIENCE: Duration = Duration::from_secs(3);
/// So long after the first of them; later ones are told at once, until this has passed: the credentials are simply wrong.
const WAIT_AGAIN: Duration = Duration::from_secs(15);

/// A source whose connection is replaced while it is used: what runs is finished on the old one, what begins uses the
/// new one, and what failed because the old one ended is done again.
pub(crate) struct RotatingSource {
    current: ArcSwap<Arc<dyn Source>>,
    replaced: watch::Sender<u64>,
    refresh: Refresh,
    /// When the first of those that wait now, or waited last, began to.
    waits_since: Mutex<Option<Instant>>,
}

impl RotatingSource {
    pub(crate) fn new(source: Arc<dyn Source>, refresh: Refresh) -> Self {
        Self {
            current: ArcSwap::from_pointee(source),
            replaced: watch::Sender::new(0),
            refresh,
            waits_since: Mutex::new(None),
        }
    }

    /// From now on operations use `source`, which holds the same log in the same database. The one before may be closed
    /// once this has returned.
    pub(crate) fn replace(&self, source: Arc<dyn Source>) {
        self.current.store(Arc::new(source));
        self.replaced.send_modify(|count| *count += 1);
    }

    fn now(&self) -> Arc<Arc<dyn Source>> {
        self.current.load_full()
    }

    /// The connection to try after `used` failed, if there is a newer one.
    async fn after(&self, used: &Arc<Arc<dyn Source>>, failure: &Failure) -> Option<Arc<Arc<dyn Source>>> {
        let mut replaced = self.replaced.subscribe();
        let newer = || Some(self.now()).filter(|now| !Arc::ptr_eq(now, used));
        let is_refused =
            matches!(failure, Failure::Refused { reason: RefusedReason::Auth | RefusedReason::Tls, .. });
        if newer().is_none()
            && is_refused
            && let Some(patience) = self.patience()
        {
            self.refresh.ask();
            // whether one came is looked at next
            let _ = tokio::time::timeout(patience, replaced.changed()).await;
        }
        newer()
    }

    /// How long to wait, if at all.
    fn patience(&self) -> Option<Duration> {
        let mut since = self.waits_since.lock();
        match since.map(|since| since.elapsed()).filter(|waited| *waited < WAIT_AGAIN) {
            Some(waited) => PATIENCE.checked_sub(waited),
            None => {
                *since = Some(Instant::now());
                Some(PATIENCE)
            }
        }
    }

    /// A read is simply done again.
    async fn read<T, F>(&self, mut read: impl FnMut(Arc<dyn Source>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut used = self.now();
        loop {
            let failure = match read((*used).clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match self.after(&used, &failure).await {
                Some(newer) => used = newer,
                None => return Err(failure),
            }
        }
    }

    /// A write that failed for certain is answered as one that may be tried again: whoever sent it does so.
    async fn write<T, F>(&self, write: impl FnOnce(Arc<dyn Source>) -> F) -> Result<T, OperationError>
    where
        F: Future<Output = Result<T, OperationError>>,
    {
        let used = self.now();
        match write((*used).clone()).await {
            Err(OperationError::Failed(failure)) => Err(match self.after(&used, &failure).await {
                Some(_) => {
                    let message = format!("the connection was replaced meanwhile ({failure})");
                    OperationError::Failed(Failure::Unreachable(message))
                }
                None => OperationError::Failed(failure),
            }),
            answer => answer,
        }
    }
}

#[async_trait]
impl Source for RotatingSource {
    async fn head(&self) -> Result<Head, Failure> {
        self.read(|source| async move { source.head().await }).await
    }

    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        self.write(|source| async move { source.promise(of, term, nonce).await }).await
    }

    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        self.write(|source| async move { source.open(of, open).await }).await
    }

    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        self.write(|source| async move { source.append(of, append).await }).await
    }

    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        self.write(|source| async move { source.apply(of, apply).await }).await
    }

    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        self.write(|source| async move { source.truncate(of, truncate).await }).await
    }

    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        self.write(|source| async move { source.repair(of, repair).await }).await
    }

    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        self.write(|source| async move { source.strip(of, strip).await }).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        self.read(|source| async move { source.read_log(read).await }).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        self.read(|source| {
            let read = read.clone();
            async move { source.read_stream(read).await }
        })
        .await
    }

    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        self.read(|source| {
            let read = read.clone();
            async move { source.read_category(read).await }
        })
        .await
    }

    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        self.read(|source| async move { source.find(id).await }).await
    }

    async fn select(&self, select: Select) -> Result<Selected, Failure> {
        self.read(|source| {
            let select = select.clone();
            async move { source.select(select).await }
        })
        .await
    }

    async fn tally(&self, tally: Tally) -> Result<Tallied, Failure> {
        self.read(|source| {
            let tally = tally.clone();
            async move { source.tally(tally).await }
        })
        .await
    }

    fn reads_write(&self) -> bool {
        self.now().reads_write()
    }

    fn has_index(&self) -> bool {
        self.now().has_index()
    }

    async fn find_by_index(&self, find: Find) -> Result<Option<Findings>, Failure> {
        self.read(|source| {
            let find = find.clone();
            async move { source.find_by_index(find).await }
        })
        .await
    }

    async fn count_by_index(&self, count: Count) -> Result<Option<Counted>, Failure> {
        self.read(|source| {
            let count = count.clone();
            async move { source.count_by_index(count).await }
        })
        .await
    }

    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.read(|source| {
            let range = range.clone();
            async move { source.digests(range).await }
        })
        .await
    }

    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.read(|source| async move { source.quarantine(after, limit).await }).await
    }

    async fn wait(&self, after: Position, at_most: Duration) {
        let mut replaced = self.replaced.subscribe();
        let source = self.now();
        tokio::select! {
            () = source.wait(after, at_most) => {}
            // it is only a hint, and a connection that ended gives none
            _ = replaced.changed() => {}
        }
    }

    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        self.write(|source| async move { source.lease(of, swap).await }).await
    }

    fn limits(&self) -> Limits {
        self.now().limits()
    }
}

#[cfg(test)]
mod tests {
    use polylog_log::{Approval, StepClass};
    use polylog_source_sqlite::{SqliteConfig, SqliteSource};

    use super::*;
    use crate::sources::{self, Database, OpenSource, StoreFolder, StorePlace};

    /// Two connections to one file.
    async fn two() -> (tempfile::TempDir, OpenSource, Arc<dyn Source>) {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("ledger.db");
        let place = StorePlace {
            source: polylog_log::SourceName::recorded("ledger"),
            folder: root.path().to_owned(),
            database: Database::Sqlite(path.clone()),
            indexes: Default::default(),
        };
        let folder = StoreFolder::claim(place.folder.clone()).expect("claimed");
        let approval = Approval::up_to(StepClass::Slow);
        let first = sources::provision(&folder, &place, approval).await.expect("provisioned").source;
        let second = SqliteSource::open(SqliteConfig::new(&path)).await.expect("an open source");
        (root, first, Arc::new(second))
    }

    fn refused() -> Failure {
        Failure::Refused { reason: RefusedReason::Auth, message: "old password".into() }
    }

    #[tokio::test]
    async fn a_read_that_met_the_end_of_its_connection_is_done_again_on_the_new_one() {
        let (_folder, first, second) = two().await;
        let rotating = RotatingSource::new(first.shared(), Refresh::default());
        let before = rotating.head().await.expect("a head");
        let mut tries = 0;
        let read = rotating.read(|source| {
            tries += 1;
            let is_first = tries == 1;
            let (rotating, first, second) = (&rotating, &first, second.clone());
            async move {
                if is_first {
                    rotating.replace(second);
                    first.close().await;
                }
                source.head().await
            }
        });
        assert_eq!(read.await, Ok(before));
        assert_eq!(tries, 2);
        let failed = rotating.read(|_| async { Err::<(), _>(Failure::Unreachable("gone".into())) }).await;
        assert!(
            matches!(failed, Err(Failure::Unreachable(_))),
            "without a newer connection it is told at once"
        );
    }

    #[tokio::test]
    async fn who_is_refused_waits_a_little_for_new_credentials() {
        let (_folder, first, second) = two().await;
        let rotating = Arc::new(RotatingSource::new(first.shared(), Refresh::default()));
        // nothing comes
        let alone = rotating.write(|_| async { Err::<(), _>(OperationError::Failed(refused())) }).await;
        assert_eq!(alone, Err(OperationError::Failed(refused())));
        // they come while it waits
        rotating.waits_since.lock().take();
        let waiting = rotating.clone();
        let old = rotating.now();
        let write = tokio::spawn(async move {
            waiting.write(|_| async { Err::<(), _>(OperationError::Failed(refused())) }).await
        });
        tokio::task::yield_now().await;
        rotating.replace(second);
        assert!(!Arc::ptr_eq(&old, &rotating.now()));
        let again = write.await.expect("no panic");
        assert!(matches!(again, Err(OperationError::Failed(Failure::Unreachable(_)))), "{again:?}");
        // what may have been written is never said to have failed
        let unknown = OperationError::Unknown(Failure::Unreachable("gone".into()));
        let told = rotating.write(|_| async { Err::<(), _>(unknown.clone()) }).await;
        assert_eq!(told, Err(unknown));
    }
}
