//! What the tests of this engine share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    process::{Command, Stdio},
    sync::LazyLock,
};

use polylog_log::{
    Append, Appended, Applied, Approval, Commit, CommitReceipt, ConfigVersion, DatabaseId, Desired, Entry,
    EventId, EventType, Expected, Failure, Head, Identity, Incarnation, IndexOptions, LogId, NewEvent, Nonce,
    Open, OperationError, Position, ReadLog, Source, SourceName, StepClass, StreamAppend, StreamName, Term,
    Verdict, Watermarks,
};
use polylog_source_postgres::{
    Address, PostgresConfig, PostgresSource, SchemaName,
    provision::{self, Place},
};
use polylog_test_bed::PostgresServer;
use uuid::Uuid;

/// One server for the tests of a binary; those that stop it or change its settings start their own.
pub(crate) static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// A database of its own, with a schema `shop`.
pub(crate) struct Store {
    pub(crate) database: String,
    pub(crate) url: String,
    pub(crate) identity: Identity,
}

impl Store {
    /// Provisioned and empty.
    pub(crate) async fn new() -> Self {
        Self::of(identity(1)).await
    }

    pub(crate) async fn of(identity: Identity) -> Self {
        Self::on(&SERVER, identity).await
    }

    pub(crate) async fn on(server: &PostgresServer, identity: Identity) -> Self {
        let store = Self::unprovisioned(server, identity);
        provision(&store.config(), identity).await.expect("a provisioned schema");
        store
    }

    pub(crate) fn unprovisioned(server: &PostgresServer, identity: Identity) -> Self {
        let database = server.create_database();
        let url = server.url(&database);
        Self { database, url, identity }
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        config(&self.url)
    }

    /// Runs SQL in the database, as superuser.
    pub(crate) fn execute(&self, sql: &str) -> String {
        SERVER.execute(&self.database, sql)
    }

    pub(crate) async fn open(&self) -> PostgresSource {
        PostgresSource::open(self.config()).await.expect("an open source")
    }

    /// Opened, and primary of term 1.
    pub(crate) async fn primary(&self) -> PostgresSource {
        let source = self.open().await;
        lead(&source, &self.identity, 1).await;
        source
    }
}

pub(crate) fn config(url: &str) -> PostgresConfig {
    let address = Address::parse(url).expect("a good address");
    PostgresConfig::new(address, SchemaName::parse("shop").expect("a good name"))
}

pub(crate) fn place() -> Place {
    Place { schema: SchemaName::parse("shop").expect("a good name"), create_schema: true, role: None }
}

/// Why a source does not open.
pub(crate) async fn refusal(config: PostgresConfig) -> Failure {
    match PostgresSource::open(config).await {
        Ok(_) => panic!("it was opened"),
        Err(failure) => failure,
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
pub(crate) async fn provision(config: &PostgresConfig, identity: Identity) -> Result<Applied, Failure> {
    let actual = provision::inspect(config, &place()).await?;
    let plan = provision::plan(&desired(identity), &place(), &actual)?;
    provision::apply(config, &place(), &plan, &Approval::up_to(StepClass::Slow)).await
}

pub(crate) async fn lead(source: &PostgresSource, identity: &Identity, term: u64) -> Head {
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
    source: &PostgresSource,
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
pub(crate) async fn write(source: &PostgresSource, identity: &Identity, commit: Commit) -> CommitReceipt {
    let appended = append(source, identity, vec![commit]).await.expect("an append");
    match &appended.verdicts[..] {
        [Verdict::Committed(receipt)] => receipt.clone(),
        other => panic!("not written: {other:?}"),
    }
}

/// The whole log.
pub(crate) async fn entries(source: &PostgresSource) -> Vec<Entry> {
    let read = ReadLog {
        from: Position::FIRST,
        to: Position::new(u64::MAX),
        max_events: usize::MAX,
        max_bytes: usize::MAX,
    };
    source.read_log(read).await.expect("the log").entries
}

/// Checks that the log is one unbroken history that ends at its head.
pub(crate) async fn check_log(source: &PostgresSource) -> Vec<Entry> {
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

/// A session of somebody else.
pub(crate) async fn session(url: &str) -> sqlx::PgConnection {
    <sqlx::PgConnection as sqlx::Connection>::connect(url).await.expect("a session")
}

/// Runs SQL in a session.
pub(crate) async fn run(session: &mut sqlx::PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(session).await.expect("done");
}
