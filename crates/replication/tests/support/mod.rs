//! A simulated database behind a connection that reconnects, can be held, cut, replaced and made to panic.
#![allow(dead_code, unreachable_pub, reason = "shared by tests that each use a part of it")]

use std::{
    future::Future,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use polylog_log::*;
use polylog_replication::{LogQuery, ReadOptions, Store, StoreOptions};
use polylog_source_simulated::{Options, OtherData, document, transactional};
use tokio::sync::watch;
use uuid::Uuid;

pub fn log_id() -> LogId {
    LogId::new(Uuid::from_u128(1))
}

pub fn identity() -> Identity {
    let (database, incarnation) = (DatabaseId::new(Uuid::from_u128(2)), Incarnation::new(Uuid::from_u128(3)));
    Identity { log: log_id(), database, incarnation }
}

/// That of one of several sources, by its number.
pub fn identity_of(number: u128) -> Identity {
    let database = DatabaseId::new(Uuid::from_u128(number + 100));
    Identity { log: log_id(), database, incarnation: Incarnation::new(Uuid::from_u128(number + 200)) }
}

/// The name of one of several sources, by its number.
pub fn source_name(number: u128) -> SourceName {
    name(&format!("source-{number}"))
}

pub fn name(name: &str) -> SourceName {
    SourceName::parse(name).expect("a good name")
}

/// A database with SQL's atoms, or with a document store's.
#[derive(Clone)]
enum Database {
    Transactional(transactional::Database),
    Document(document::Database),
}

impl Database {
    fn connect(&self) -> Box<dyn Source> {
        match self {
            Database::Transactional(database) => Box::new(database.connect()),
            Database::Document(database) => Box::new(database.connect()),
        }
    }
}

/// A source over a simulated database.
pub struct Remote {
    database: Mutex<Database>,
    /// Appends wait while this is true.
    held: watch::Sender<bool>,
    /// What was read of users' streams waits while this is true.
    held_answers: watch::Sender<bool>,
    is_cut: AtomicBool,
    is_read_only: AtomicBool,
    has_room_for_leases: AtomicBool,
    withholds_repair: AtomicBool,
    has_slow_looks: AtomicBool,
    panics: AtomicUsize,
    /// Events with more data than this cannot be stored.
    most_data: AtomicUsize,
    /// Operations that would change something, whatever became of them.
    pub writes: AtomicUsize,
    pub appends: AtomicUsize,
    pub log_reads: AtomicUsize,
    /// Reads of users' streams that have their answer.
    pub stream_reads: AtomicUsize,
}

impl Remote {
    /// Over a database with SQL's atoms.
    pub fn new(seed: u64) -> Arc<Self> {
        let options = Options { seed, ..Options::default() };
        let database = transactional::Database::new(identity(), name("ledger"), options);
        Self::over(Database::Transactional(database))
    }

    /// Over a database with a document store's atoms.
    pub fn document(seed: u64) -> Arc<Self> {
        let options = Options { seed, ..Options::default() };
        let database = document::Database::new(identity(), name("ledger"), options);
        Self::over(Database::Document(database))
    }

    /// One of several sources of a log, by its number.
    pub fn one_of_several(number: u128) -> Arc<Self> {
        let options = Options { seed: number as u64, ..Options::default() };
        let database = transactional::Database::new(identity_of(number), source_name(number), options);
        Self::over(Database::Transactional(database))
    }

    fn over(database: Database) -> Arc<Self> {
        Arc::new(Self {
            database: Mutex::new(database),
            held: watch::Sender::new(false),
            held_answers: watch::Sender::new(false),
            is_cut: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
            has_room_for_leases: AtomicBool::new(false),
            withholds_repair: AtomicBool::new(false),
            has_slow_looks: AtomicBool::new(false),
            panics: AtomicUsize::new(0),
            most_data: AtomicUsize::new(usize::MAX),
            writes: AtomicUsize::new(0),
            appends: AtomicUsize::new(0),
            log_reads: AtomicUsize::new(0),
            stream_reads: AtomicUsize::new(0),
        })
    }

    pub fn fail_points(&self) -> FailPoints {
        match &*self.database.lock() {
            Database::Transactional(database) => database.fail_points(),
            Database::Document(database) => database.fail_points(),
        }
    }

    /// Takes an event's row away, or puts other data into it, behind everybody's back.
    pub fn damage(&self, position: u64, other: Option<OtherData>) {
        match &*self.database.lock() {
            Database::Transactional(database) => database.damage(Position::new(position), other),
            Database::Document(database) => database.damage(Position::new(position), other),
        }
    }

    /// Appends wait before they reach the database.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// What is read of users' streams does not arrive.
    pub fn hold_answers(&self, are_held: bool) {
        self.held_answers.send_replace(are_held);
    }

    /// Nothing reaches the database.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }

    /// Heads take very long, as when everything else is read at the same time.
    pub fn slow_looks(&self, are_slow: bool) {
        self.has_slow_looks.store(are_slow, Ordering::SeqCst);
    }

    /// It answers, and takes no writes.
    pub fn read_only(&self, is_read_only: bool) {
        self.is_read_only.store(is_read_only, Ordering::SeqCst);
    }

    /// Of all writes it takes leases alone: there is no room for rows.
    pub fn without_room(&self) {
        self.has_room_for_leases.store(true, Ordering::SeqCst);
        self.read_only(true);
    }

    /// Entries with larger events are not taken from the primary.
    pub fn most_data(&self, bytes: usize) {
        self.most_data.store(bytes, Ordering::SeqCst);
    }

    /// It takes writes, but none of those of a repair, as without the right to delete.
    pub fn withhold_repair(&self, is_withheld: bool) {
        self.withholds_repair.store(is_withheld, Ordering::SeqCst);
    }

    /// The next appends panic before they reach the database.
    pub fn panic(&self, times: usize) {
        self.panics.store(times, Ordering::SeqCst);
    }

    /// From now on this talks to another database, as after a restore.
    pub fn replace_by(&self, other: &Remote) {
        *self.database.lock() = other.database.lock().clone();
    }

    fn reach(&self) -> Result<Box<dyn Source>, Failure> {
        match self.is_cut.load(Ordering::SeqCst) {
            true => Err(Failure::Unreachable("cut".into())),
            false => Ok(self.database.lock().connect()),
        }
    }

    fn operate(&self) -> Result<Box<dyn Source>, OperationError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let reached = self.reach().map_err(OperationError::Failed)?;
        match self.is_read_only.load(Ordering::SeqCst) {
            true => Err(OperationError::Failed(Failure::Refused {
                reason: RefusedReason::ReadOnly,
                message: "read-only".into(),
            })),
            false => Ok(reached),
        }
    }
}

#[async_trait]
impl Source for Remote {
    async fn head(&self) -> Result<Head, Failure> {
        if self.has_slow_looks.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        self.reach()?.head().await
    }
    async fn promise(&self, of: &Identity, term: Term, nonce: Nonce) -> Result<Head, OperationError> {
        self.operate()?.promise(of, term, nonce).await
    }
    async fn open(&self, of: &Identity, open: Open) -> Result<Head, OperationError> {
        self.operate()?.open(of, open).await
    }
    async fn append(&self, of: &Identity, append: Append) -> Result<Appended, OperationError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender is in self");
        let take = |left: usize| left.checked_sub(1);
        if self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
            panic!("as told");
        }
        self.operate()?.append(of, append).await
    }
    async fn apply(&self, of: &Identity, apply: Apply) -> Result<Head, OperationError> {
        let most = self.most_data.load(Ordering::SeqCst);
        let events = apply.entries.iter().flat_map(|entry| &entry.events);
        let mut sizes = events.filter_map(|event| Some(event.data.as_ref()?.len()));
        if let Some(size) = sizes.find(|size| *size > most) {
            let message = format!("{size} bytes of data");
            return Err(OperationError::Failed(Failure::Refused {
                reason: RefusedReason::Unsuitable,
                message,
            }));
        }
        self.operate()?.apply(of, apply).await
    }
    async fn truncate(&self, of: &Identity, truncate: Truncate) -> Result<Head, OperationError> {
        self.operate()?.truncate(of, truncate).await
    }
    async fn repair(&self, of: &Identity, repair: Repair) -> Result<Repaired, OperationError> {
        match self.withholds_repair.load(Ordering::SeqCst) {
            false => self.operate()?.repair(of, repair).await,
            true => Err(OperationError::Failed(Failure::Refused {
                reason: RefusedReason::Rights,
                message: "no right to delete".into(),
            })),
        }
    }
    async fn strip(&self, of: &Identity, strip: Strip) -> Result<Head, OperationError> {
        self.operate()?.strip(of, strip).await
    }
    async fn read_log(&self, read: ReadLog) -> Result<LogPage, Failure> {
        self.log_reads.fetch_add(1, Ordering::SeqCst);
        self.reach()?.read_log(read).await
    }
    async fn read_stream(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        let is_users = !read.stream.is_system();
        let answer = self.reach()?.read_stream(read).await;
        if is_users {
            self.stream_reads.fetch_add(1, Ordering::SeqCst);
            let mut held = self.held_answers.subscribe();
            held.wait_for(|held| !held).await.expect("the sender is in self");
        }
        answer
    }
    async fn read_category(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        self.reach()?.read_category(read).await
    }
    async fn find(&self, id: EventId) -> Result<FoundEvent, Failure> {
        self.reach()?.find(id).await
    }
    async fn digests(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.reach()?.digests(range).await
    }
    async fn quarantine(&self, after: QuarantinePlace, limit: usize) -> Result<Vec<Quarantined>, Failure> {
        self.reach()?.quarantine(after, limit).await
    }
    async fn wait(&self, after: Position, at_most: Duration) {
        let connection = self.database.lock().connect();
        connection.wait(after, at_most).await;
    }
    async fn lease(&self, of: &Identity, swap: LeaseSwap) -> Result<LeaseAnswer, OperationError> {
        match self.has_room_for_leases.load(Ordering::SeqCst) {
            true => self.reach().map_err(OperationError::Failed)?.lease(of, swap).await,
            false => self.operate()?.lease(of, swap).await,
        }
    }
    fn limits(&self) -> Limits {
        self.database.lock().connect().limits()
    }
}

pub fn options(remote: &Arc<Remote>) -> StoreOptions {
    StoreOptions::new("payments", name("ledger"), remote.clone(), identity())
}

pub async fn open(remote: &Arc<Remote>) -> Store {
    Store::open(options(remote)).await.expect("opens")
}

/// An event whose id follows from `number`.
pub fn event(number: u64) -> NewEvent {
    let id = EventId::new(Uuid::from_u128(u128::from(number) + (1 << 64)));
    NewEvent::json(id, EventType::parse("Happened").expect("a good type"), format!("{{\"n\":{number}}}"))
}

pub fn stream(name: &str) -> StreamName {
    StreamName::parse(name).expect("a good name")
}

/// A commit of `count` events to one stream; the numbers of its events begin at `number`.
pub fn commit(number: u64, to: &str, count: u64) -> Commit {
    let events = (number..number + count).map(event).collect();
    Commit::new(log_id(), vec![StreamAppend::new(stream(to), Expected::Any, events)])
}

pub fn within(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

pub fn soon() -> Instant {
    within(5_000)
}

/// Every event of the log, with the log's own.
pub async fn everything(store: &Store) -> Vec<RecordedEvent> {
    let query = LogQuery { include_system: true, ..LogQuery::forward(usize::MAX) };
    let read = store.read_log(&query, &ReadOptions::default()).await.expect("reads");
    assert!(read.at_end);
    read.events
}

pub fn types_of(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event.event_type.as_str()).collect()
}

/// Waits for a condition, for ten seconds at most.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
