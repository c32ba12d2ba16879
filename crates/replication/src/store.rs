use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use polylog_log::{
    Acks, Category, Commit, CommitReceipt, Config, ConfigVersion, EventId, Failure, Identity, Limits, Point,
    Position, QuarantinePlace, Quarantined, SourceName, StreamName, Version,
};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{
    AppendError, DesiredConfig, EventRead, FollowOptions, Follower, ForceRefused, InvalidCommit, Leadership,
    LogQuery, LogRead, LogReader, OpenError, PrimaryWish, ReadError, ReadOptions, Search, Start,
    StoreOptions, StoreStatus, StreamHeadRead, StreamQuery, StreamRead, TokenPoint, Unopened,
    VerificationOptions,
    configure::Put,
    replicated::{call, count_quarantined, replay},
    shared::Shared,
    tail, verification,
    writer::Writer,
};

/// An hour in microseconds: far beyond what a caller waits, and safe to add to any time.
const LONGEST_ACK_TIMEOUT: u64 = 3_600_000_000;

/// How long a source may take for a page of what was removed from its log.
const QUARANTINE_READ: Duration = Duration::from_secs(20);

/// An open log: appends, reads and followers. Clones share everything; its tasks end with the last of them.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// In microseconds.
    ack_timeout: AtomicU64,
    /// How its log is verified by this process, while it has the duties; `None` = not at all.
    verification: Option<VerificationOptions>,
    tasks: TaskTracker,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.writer.drain();
        self.shared.stop.cancel();
    }
}

/// An append that has its ack level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Where the commit stands; `None` for a commit that only checked versions.
    pub receipt: Option<CommitReceipt>,
    /// The end of the commit, or the tail at which the check held: what a token names. Its term is the commit's own.
    pub point: Point,
    /// The sources that hold it.
    pub acked_by: Vec<SourceName>,
    /// Whether an earlier try had already written it.
    pub repeated: bool,
}

impl Store {
    /// Opens a provisioned log: follows the term that is open, or opens one if it may, and brings `$config` and
    /// `$policy` to what the options say. A source that does not answer is an error, not a wait: try again.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Unopened::begin(options).await?.open().await
    }

    /// A store that is not open yet. Its tasks end with the last of its clones.
    pub(crate) fn unopened(shared: Shared, options: &StoreOptions) -> Self {
        // with one source, whoever may write its configuration has the duties
        let may_verify = options.may_open || !options.others.is_empty();
        let inner = Inner {
            shared: Arc::new(shared),
            ack_timeout: AtomicU64::new(micros(options.ack_timeout)),
            verification: options.verification.filter(|_| may_verify),
            tasks: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// Has everything done from now on that an open log needs beside its appends.
    pub(crate) fn look_after(&self) {
        let Inner { shared, verification, tasks, .. } = &*self.inner;
        tasks.spawn(tail::run(shared.clone()));
        if let Writer::Many(handle) = &shared.writer {
            tasks.spawn(replay(shared.name.clone(), handle.clone(), shared.replicas.clone()));
            let told = shared.set_aside.clone();
            tasks.spawn(count_quarantined(handle.clone(), shared.replicas.clone(), told));
        }
        if let Some(verification) = verification {
            tasks.spawn(verification::verify(
                shared.name.clone(),
                *verification,
                shared.identity.log,
                shared.replicas.clone(),
                shared.writer.sight(shared),
                shared.board.clone(),
                shared.stop.clone(),
            ));
        }
    }

    /// What can be told of its log, and done about its primary.
    pub fn leadership(&self) -> Leadership {
        Leadership::of(self.inner.shared.clone())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.shared.name
    }

    /// Log, database and incarnation.
    pub fn identity(&self) -> Identity {
        self.inner.shared.identity
    }

    /// What a commit may hold: the manifest's limits and the source's.
    pub fn limits(&self) -> Limits {
        self.inner.shared.limits
    }

    /// Where the log ended when it was last seen; asks nobody.
    pub fn tail(&self) -> Point {
        self.inner.shared.heads.newest().tail
    }

    /// The configuration in force when the log was last seen; asks nobody.
    pub fn config(&self) -> Arc<Config> {
        self.inner.shared.heads.newest().config.config.clone()
    }

    /// Appends a commit, and answers once it has the store's ack level or `acks`, whichever is higher.
    ///
    /// A commit without events only checks the versions: one strong check, nothing is written. Dropping the future does
    /// not take the commit back. The deadline is shortened to the store's `ack_timeout`.
    pub async fn append(
        &self,
        commit: Commit,
        acks: Option<Acks>,
        deadline: Instant,
    ) -> Result<Acknowledged, AppendError> {
        let shared = &self.inner.shared;
        check_shape(&commit)?;
        shared.limits.check(&commit)?;
        let voters = shared.heads.voters();
        if let Some(acks) = acks.filter(|acks| acks.required(voters) > voters) {
            return Err(AppendError::AcksNotSupported { acks, voters });
        }
        let deadline = deadline.min(self.deadline());
        shared.append(commit, acks, deadline).await
    }

    /// From now on no append takes longer than this, whatever its caller's deadline; an hour at most.
    pub fn set_ack_timeout(&self, longest: Duration) {
        self.inner.ack_timeout.store(micros(longest), Ordering::Relaxed);
    }

    /// With several sources: reads go to the primary as long as it answers, and not to whoever answers soonest.
    pub fn prefer_primary(&self, is_preferred: bool) {
        self.inner.shared.reader.prefer_primary(is_preferred);
    }

    /// With several sources: which one should be primary, if this process has duties.
    pub async fn want_primary(&self, wish: PrimaryWish) {
        if let Writer::Many(handle) = &self.inner.shared.writer {
            handle.want_primary(wish).await;
        }
    }

    /// With several sources: from now on another primary is elected after this long without a sign of life, and, if
    /// `opens_minority`, the log opened with whatever voters answer (see [`StoreOptions::opens_minority`]).
    pub async fn set_failover(&self, after: Duration, opens_minority: bool) {
        if let Writer::Many(handle) = &self.inner.shared.writer {
            handle.set_failover(after, opens_minority).await;
        }
    }

    /// Everything is read again and compared, as fast as the options allow, by the process that verifies; the number says
    /// when that was done (see [`Verified::answered`](crate::Verified::answered)). `None` = this process does not verify.
    pub fn verify(&self) -> Option<u64> {
        let Inner { shared, verification, .. } = &*self.inner;
        let is_elsewhere = matches!(&shared.writer, Writer::Many(handle) if !handle.view().has_duties);
        (verification.is_some() && !is_elsewhere).then(|| shared.board.ask())
    }

    /// Entries that truncations removed from a source's log, oldest first; at most `limit` of those after this place.
    /// `None` = there is no source of this name.
    pub async fn quarantine(
        &self,
        source: &SourceName,
        after: QuarantinePlace,
        limit: usize,
    ) -> Option<Result<Vec<Quarantined>, Failure>> {
        let replica = self.inner.shared.replicas.iter().find(|replica| replica.name == *source)?;
        Some(call::read(QUARANTINE_READ, replica.source.quarantine(after, limit)).await)
    }

    /// As [`Leadership::force`].
    pub async fn force(&self, absent: BTreeSet<SourceName>) -> Result<(), ForceRefused> {
        self.leadership().force(absent).await
    }

    /// With several sources: whether this process elects, and copies to those that fell behind.
    pub fn has_duties(&self) -> bool {
        match &self.inner.shared.writer {
            Writer::One(_) => false,
            Writer::Many(handle) => handle.view().has_duties,
        }
    }

    /// The version of the configuration in force, and whether it is `config`.
    pub async fn compare_config(&self, config: &DesiredConfig) -> Result<(ConfigVersion, bool), OpenError> {
        Ok(self.inner.shared.compare_config(config).await?)
    }

    /// Makes `config` the log's configuration, if it is not.
    pub async fn set_config(&self, config: &DesiredConfig) -> Result<(), OpenError> {
        self.inner.shared.set_config(config, self.deadline()).await
    }

    /// Makes `policy` the log's policy, if it is not.
    pub async fn set_policy(&self, policy: Bytes) -> Result<(), AppendError> {
        self.inner.shared.set_policy(policy, self.deadline()).await
    }

    /// The same in one try, and only over the version that is expected: else a version conflict. Says the version that
    /// is in force afterwards.
    pub async fn put_config(
        &self,
        config: &DesiredConfig,
        expected: ConfigVersion,
        deadline: Instant,
    ) -> Result<ConfigVersion, OpenError> {
        let deadline = deadline.min(self.deadline());
        match self.inner.shared.put_config(config, Some(expected), deadline).await? {
            Put::InForce(version) => Ok(version),
            Put::Refused(error) => Err(OpenError::Configure { what: "$config", error: Box::new(error) }),
        }
    }

    /// The same as [`Self::set_policy`] in one try, and only over the version that is expected: else a version conflict.
    /// Says the version that is in force afterwards.
    pub async fn put_policy(
        &self,
        policy: Bytes,
        expected: Version,
        deadline: Instant,
    ) -> Result<Version, AppendError> {
        let deadline = deadline.min(self.deadline());
        match self.inner.shared.put_policy(policy, Some(expected), deadline).await? {
            Put::InForce(version) => Ok(version),
            Put::Refused(error) => Err(error),
        }
    }

    /// Reads the policy in the log and its version; zero = none was written yet.
    pub async fn read_policy(&self) -> Result<(Version, Option<Bytes>), ReadError> {
        Ok(self.inner.shared.read_policy().await?)
    }

    /// The log's policy; follows it within a second.
    pub fn policy(&self) -> watch::Receiver<Option<Bytes>> {
        self.inner.shared.policy.subscribe()
    }

    /// A page of the log.
    pub async fn read_log(&self, query: &LogQuery, options: &ReadOptions) -> Result<LogRead, ReadError> {
        self.inner.shared.read_log(query, options).await
    }

    /// A page of one category.
    pub async fn read_category(
        &self,
        category: &Category,
        query: &LogQuery,
        options: &ReadOptions,
    ) -> Result<LogRead, ReadError> {
        self.inner.shared.read_category(category, query, options).await
    }

    /// A page of one stream.
    pub async fn read_stream(
        &self,
        query: &StreamQuery,
        options: &ReadOptions,
    ) -> Result<StreamRead, ReadError> {
        self.inner.shared.read_stream(query, options).await
    }

    /// The end of a stream.
    pub async fn stream_head(
        &self,
        stream: &StreamName,
        options: &ReadOptions,
    ) -> Result<StreamHeadRead, ReadError> {
        self.inner.shared.stream_head(stream, options).await
    }

    /// The event with this id.
    pub async fn find(&self, id: EventId, options: &ReadOptions) -> Result<EventRead, ReadError> {
        self.inner.shared.find(id, options).await
    }

    /// The event at this position.
    pub async fn event_at(&self, position: Position, options: &ReadOptions) -> Result<EventRead, ReadError> {
        self.inner.shared.event_at(position, options).await
    }

    /// Reads the log forward, as far as it went when the call was made, one page ahead of its reader. `query.limit` and
    /// `query.max_bytes` are those of one page; `query.backward` is ignored.
    pub async fn read_all(&self, query: &LogQuery, options: &ReadOptions) -> Result<LogReader, ReadError> {
        LogReader::new(self.inner.shared.clone(), query, options).await
    }

    /// Begins a search of the log as far as it may be shown now, or up to `to`, where an earlier page of the search ended.
    pub async fn search(&self, to: Option<TokenPoint>, options: &ReadOptions) -> Result<Search, ReadError> {
        Search::new(self.inner.shared.clone(), to, options).await
    }

    /// A follower of the log. It ends with the store.
    pub async fn follow(&self, start: Start, options: FollowOptions) -> Result<Follower, ReadError> {
        Follower::new(self.inner.shared.clone(), start, options).await
    }

    /// As [`Leadership::status`].
    pub async fn status(&self) -> StoreStatus {
        self.leadership().status().await
    }

    /// Takes no more appends, ends the followers, and returns when everything that was taken is answered. Reads go on.
    pub async fn drain(&self) {
        self.inner.shared.writer.drain();
        self.inner.shared.stop.cancel();
        self.inner.shared.writer.drained().await;
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    fn deadline(&self) -> Instant {
        let micros = self.inner.ack_timeout.load(Ordering::Relaxed);
        tokio::time::Instant::now().into_std() + Duration::from_micros(micros)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(LONGEST_ACK_TIMEOUT)
}

fn check_shape(commit: &Commit) -> Result<(), InvalidCommit> {
    if commit.appends.is_empty() {
        return Err(InvalidCommit::Empty);
    }
    let (mut streams, mut ids) = (HashSet::new(), HashSet::new());
    for append in &commit.appends {
        let reserved = |name: &str| Err(InvalidCommit::Reserved(name.into()));
        if append.stream.is_system() {
            return reserved(append.stream.as_str());
        }
        if let Some(category) = append.category.as_ref().filter(|category| category.is_system()) {
            return reserved(category.as_str());
        }
        if let Some(id) = append.aggregate_id.as_ref().filter(|id| id.is_system()) {
            return reserved(id.as_str());
        }
        if !streams.insert(&append.stream) {
            return Err(InvalidCommit::StreamTwice(append.stream.clone()));
        }
        for event in &append.events {
            if event.event_type.is_system() {
                return reserved(event.event_type.as_str());
            }
            if !ids.insert(event.id) {
                return Err(InvalidCommit::IdTwice(event.id));
            }
        }
    }
    Ok(())
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("name", &self.name())
            .field("tail", &self.tail())
            .finish_non_exhaustive()
    }
}
