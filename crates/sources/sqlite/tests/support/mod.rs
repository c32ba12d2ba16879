//! What the tests of this engine share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use polylog_log::{
    Append, Appended, Commit, CommitReceipt, ConfigVersion, DatabaseId, Entry, EventId, EventType, Expected,
    Failure, Head, Identity, Incarnation, LogId, NewEvent, Nonce, Open, OperationError, Position, ReadLog,
    Source, SourceName, StepClass, StreamAppend, StreamName, Term, Verdict, Watermarks,
};
use polylog_source_sqlite::{
    SqliteConfig, SqliteSource,
    provision::{self, Approval, Desired, IndexOptions},
};
use uuid::Uuid;

/// A file in a folder of its own.
pub(crate) struct Store {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) identity: Identity,
}

impl Store {
    /// Provisioned and empty.
    pub(crate) fn new() -> Self {
        Self::of(identity(1))
    }

    pub(crate) fn of(identity: Identity) -> Self {
        let store = Self { folder: tempfile::tempdir().expect("a folder"), identity };
        store.provision();
        store
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    pub(crate) fn provision(&self) {
        provision(&self.path(), self.identity).expect("a provisioned file");
    }

    pub(crate) async fn open(&self) -> SqliteSource {
        SqliteSource::open(SqliteConfig::new(self.path())).await.expect("an open source")
    }

    /// Opened, and primary of term 1.
    pub(crate) async fn primary(&self) -> SqliteSource {
        let source = self.open().await;
        lead(&source, &self.identity, 1).await;
        source
    }
}

pub(crate) fn identity(log: u128) -> Identity {
    Identity {
        log: LogId::new(Uuid::from_u128(log)),
        database: DatabaseId::new(Uuid::from_u128(2)),
        incarnation: Incarnation::new(Uuid::from_u128(3)),
    }
}

pub(crate) fn desired(identity: Identity) -> Desired {
    let source = SourceName::parse("main").expect("a good name");
    Desired { identity, source, indexes: IndexOptions::default() }
}

/// Everything but destructive steps.
pub(crate) fn provision(path: &Path, identity: Identity) -> Result<provision::Applied, Failure> {
    let actual = provision::inspect(path)?;
    let plan = provision::plan(&desired(identity), &actual)?;
    provision::apply(path, &plan, &Approval::up_to(StepClass::Slow))
}

pub(crate) async fn lead(source: &SqliteSource, identity: &Identity, term: u64) -> Head {
    let (term, nonce) = (Term::new(term), Nonce::new(Uuid::new_v4()));
    let head = source.promise(identity, term, nonce).await.expect("a promise");
    let primary = SourceName::parse("main").expect("a good name");
    let open = Open { term, nonce, tail: head.tail, primary, forced: false, missing: Vec::new() };
    Source::open(source, identity, open).await.expect("a primary")
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::parse(name).expect("a good name")
}

pub(crate) fn event(data: impl Into<bytes::Bytes>) -> NewEvent {
    let event_type = EventType::parse("Happened").expect("a good name");
    NewEvent::json(EventId::new(Uuid::now_v7()), event_type, data)
}

/// A commit of one event.
pub(crate) fn commit(log: LogId, name: &str, expected: Expected) -> Commit {
    Commit::new(log, vec![StreamAppend::new(stream(name), expected, vec![event("{}")])])
}

pub(crate) async fn append(
    source: &SqliteSource,
    identity: &Identity,
    batch: Vec<Commit>,
) -> Result<Appended, OperationError> {
    let append = Append {
        term: Term::FIRST,
        config: ConfigVersion(0),
        batch: batch.into(),
        watermarks: Watermarks::default(),
    };
    source.append(identity, append).await
}

/// Appends one commit, which must be written now.
pub(crate) async fn write(source: &SqliteSource, identity: &Identity, commit: Commit) -> CommitReceipt {
    let appended = append(source, identity, vec![commit]).await.expect("an append");
    match &appended.verdicts[..] {
        [Verdict::Committed(receipt)] => receipt.clone(),
        other => panic!("not written: {other:?}"),
    }
}

/// The whole log.
pub(crate) async fn entries(source: &SqliteSource) -> Vec<Entry> {
    let read = ReadLog {
        from: Position::FIRST,
        to: Position::new(u64::MAX),
        max_events: usize::MAX,
        max_bytes: usize::MAX,
    };
    source.read_log(read).await.expect("the log").entries
}

/// Checks that the log is one unbroken history that ends at its head.
pub(crate) async fn check_log(source: &SqliteSource) -> Vec<Entry> {
    let head = source.head().await.expect("a head");
    let mut at = polylog_log::Point::start(head.identity.log);
    let entries = entries(source).await;
    for entry in &entries {
        entry.follows(&at).expect("an entry that continues the log");
        at = entry.point();
    }
    assert_eq!(at, head.tail);
    entries
}

/// This test binary again, running `test` alone with `task` for [`task`].
pub(crate) fn child(test: &str, task: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("POLYLOG_TEST_TASK", task)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// What a child was told to do; `None` in the parent, where the child's test has nothing to do.
pub(crate) fn task() -> Option<String> {
    std::env::var("POLYLOG_TEST_TASK").ok()
}
