//! What tests of engines do to a source.

use std::process::{Command, Stdio};

use polylog_log::{
    Append, Appended, Commit, CommitReceipt, ConfigVersion, DatabaseId, Desired, Entry, EventId, EventType,
    Expected, Head, Identity, Incarnation, IndexOptions, LogId, NewEvent, Nonce, Open, OperationError,
    Position, ReadLog, Source, SourceName, StreamAppend, StreamName, Term, Verdict, Watermarks,
};
use uuid::Uuid;

/// An identity with this log.
pub fn identity(log: u128) -> Identity {
    Identity {
        log: LogId::new(Uuid::from_u128(log)),
        database: DatabaseId::new(Uuid::from_u128(2)),
        incarnation: Incarnation::new(Uuid::from_u128(3)),
    }
}

/// What a database of this identity should be.
pub fn desired(identity: Identity) -> Desired {
    let source = SourceName::parse("main").expect("a good name");
    Desired { identity, source, indexes: IndexOptions::default() }
}

/// Makes it the primary of a term.
pub async fn lead(source: &dyn Source, identity: &Identity, term: u64) -> Head {
    let (term, nonce) = (Term::new(term), Nonce::new(Uuid::new_v4()));
    let head = source.promise(identity, term, nonce).await.expect("a promise");
    let primary = SourceName::parse("main").expect("a good name");
    let open = Open { term, nonce, tail: head.tail, primary, forced: false, missing: Vec::new() };
    source.open(identity, open).await.expect("a primary")
}

/// A stream's name.
pub fn stream(name: &str) -> StreamName {
    StreamName::parse(name).expect("a good name")
}

/// An event with new ids.
pub fn event(data: impl Into<bytes::Bytes>) -> NewEvent {
    let event_type = EventType::parse("Happened").expect("a good name");
    NewEvent::json(EventId::new(Uuid::now_v7()), event_type, data)
}

/// A commit of one event.
pub fn commit(log: LogId, name: &str, expected: Expected) -> Commit {
    Commit::new(log, vec![StreamAppend::new(stream(name), expected, vec![event("{}")])])
}

/// Appends as primary of term 1.
pub async fn append(
    source: &dyn Source,
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
pub async fn write(source: &dyn Source, identity: &Identity, commit: Commit) -> CommitReceipt {
    let appended = append(source, identity, vec![commit]).await.expect("an append");
    match &appended.verdicts[..] {
        [Verdict::Committed(receipt)] => receipt.clone(),
        other => panic!("not written: {other:?}"),
    }
}

/// Appends one event of so many bytes, and finds the log whole and one entry longer.
pub async fn carry(source: &dyn Source, identity: &Identity, bytes: usize) {
    let data = format!("\"{}\"", "x".repeat(bytes - 2));
    let streams = vec![StreamAppend::new(stream("Payment-1"), Expected::Any, vec![event(data)])];
    let before = check_log(source).await.len();
    write(source, identity, Commit::new(identity.log, streams)).await;
    assert_eq!(check_log(source).await.len(), before + 1);
}

/// The whole log.
pub async fn entries(source: &dyn Source) -> Vec<Entry> {
    let read = ReadLog {
        from: Position::FIRST,
        to: Position::new(u64::MAX),
        max_events: usize::MAX,
        max_bytes: usize::MAX,
    };
    source.read_log(read).await.expect("the log").entries
}

/// Checks that the log is one unbroken history that ends at its head.
pub async fn check_log(source: &dyn Source) -> Vec<Entry> {
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
pub fn child(test: &str, task: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("POLYLOG_TEST_TASK", task)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// What a child was told to do; `None` in the parent, where the child's test has nothing to do.
pub fn task() -> Option<String> {
    std::env::var("POLYLOG_TEST_TASK").ok()
}
