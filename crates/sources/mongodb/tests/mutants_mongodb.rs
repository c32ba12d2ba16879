//! Tests of the tests: an engine without one of the rules of a document store does what these scenarios see.

mod support;

use std::sync::Arc;

use polylog_log::{
    Append, Apply, Commit, Config, ConfigVersion, DatabaseId, Entry, Expected, FailPoints, Fault, Head,
    Identity, Incarnation, Member, Nonce, OperationError, Point, Position, ReadLog, Source, SourceName, Term,
    Truncate, Watermarks,
};
use polylog_source_mongodb::{MongodbConfig, MongodbSource, Mutant, POINTS, SlowWriter, switch};
use support::{Store, commit, lead};
use uuid::Uuid;

/// What goes wrong, and who sees it.
const MUTANTS: [(Mutant, Scenario); 7] = [
    (Mutant::InsertIfAbsent, Scenario::Overwritten),
    (Mutant::BlindUpsert, Scenario::WrittenOutLate),
    (Mutant::FenceByTerm, Scenario::WrittenOutLateUnderTheNewTerm),
    (Mutant::NoWaitForWriteOut, Scenario::NotWrittenOut),
    (Mutant::NoCutsRead, Scenario::ReadMeanwhile),
    (Mutant::BlindSwap, Scenario::TwoWriters),
    (Mutant::UnresolvedSwap, Scenario::LostAnswer),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// A tail is removed, and other entries take its positions.
    Overwritten,
    /// Meanwhile somebody had read the old tail, and writes it out at the end.
    WrittenOutLate,
    /// The same, but the old tail was read after the new term was promised.
    WrittenOutLateUnderTheNewTerm,
    /// A batch is in the head, and its writer is gone; another writer comes.
    NotWrittenOut,
    /// A page is read while a tail is removed and other entries take its positions.
    ReadMeanwhile,
    /// Two processes append in turn.
    TwoWriters,
    /// An apply takes place, and its answer is lost.
    LostAnswer,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_a_rule_of_document_stores_is_caught() {
    for (mutant, scenario) in MUTANTS {
        switch(None);
        assert!(holds(scenario).await, "{scenario:?} as it is");
        switch(Some(mutant));
        assert!(!holds(scenario).await, "{scenario:?} with {mutant:?}");
    }
    switch(None);
}

async fn holds(scenario: Scenario) -> bool {
    match scenario {
        Scenario::Overwritten | Scenario::WrittenOutLate | Scenario::WrittenOutLateUnderTheNewTerm => {
            overwritten(scenario).await
        }
        Scenario::NotWrittenOut => not_written_out().await,
        Scenario::ReadMeanwhile => read_meanwhile().await,
        Scenario::TwoWriters => two_writers().await,
        Scenario::LostAnswer => lost_answer().await,
    }
}

/// A source with a tail that lost, and the log that won.
struct Diverged {
    source: MongodbSource,
    store: Store,
    keep: Point,
    tail: Point,
    winner: Vec<Entry>,
}

impl Diverged {
    async fn new() -> Self {
        let (store, other) = (Store::new().await, Store::of(other()).await);
        let (source, winner) = (store.primary().await, other.open().await);
        configure_three(&source, &store).await;
        let keep = source.head().await.expect("a head").tail;
        let shared = log(&source).await.expect("the log");
        apply(&winner, &other.identity, 1, Point::start(store.identity.log), shared).await.expect("a copy");
        lead(&winner, &other.identity, 2).await;
        // the entries that lost are written out, but for the last one
        for _ in 0..3 {
            under(&source, &store.identity, 1).await;
            under(&winner, &other.identity, 2).await;
        }
        let tail = source.head().await.expect("a head").tail;
        let winner = log(&winner).await.expect("the log");
        Self { source, store, keep, tail, winner }
    }

    async fn promise(&self) {
        self.source
            .promise(&self.store.identity, Term::new(2), Nonce::new(Uuid::nil()))
            .await
            .expect("a promise");
    }

    /// Removes the tail that lost and copies the log that won, in two parts: the first one is written out.
    async fn level(&self) {
        let truncate = Truncate { term: Term::new(2), keep: self.keep, tail: self.tail };
        self.source.truncate(&self.store.identity, truncate).await.expect("a truncation");
        let missing: Vec<_> =
            self.winner.iter().filter(|entry| entry.last() > self.keep.position).cloned().collect();
        let (last, most) = missing.split_last().expect("entries");
        let end = most.last().expect("entries").point();
        apply(&self.source, &self.store.identity, 2, self.keep, most.to_vec()).await.expect("a copy");
        apply(&self.source, &self.store.identity, 2, end, vec![last.clone()]).await.expect("a copy");
    }
}

async fn overwritten(scenario: Scenario) -> bool {
    let diverged = Diverged::new().await;
    let early = SlowWriter::new(&diverged.source).await.expect("a head");
    diverged.promise().await;
    let late = SlowWriter::new(&diverged.source).await.expect("a head");
    diverged.level().await;
    match scenario {
        Scenario::WrittenOutLate => drop(early.write_out().await.expect("an answer")),
        Scenario::WrittenOutLateUnderTheNewTerm => drop(late.write_out().await.expect("an answer")),
        _ => {}
    }
    log(&diverged.source).await.is_some_and(|log| log == diverged.winner)
}

async fn read_meanwhile() -> bool {
    let mut is_whole = true;
    for _ in 0..5 {
        let diverged = Diverged::new().await;
        let before = log(&diverged.source).await.expect("the log");
        let fail_points = FailPoints::new(POINTS);
        let config = MongodbConfig { fail_points: fail_points.clone(), ..diverged.store.config() };
        let reader = MongodbSource::open(config).await.expect("an open source");
        diverged.promise().await;
        fail_points.arm("events read: sent", 0, Fault::Delay);
        let (read, ()) = tokio::join!(log(&reader), diverged.level());
        let is_one_of_both = |read: &Vec<Entry>| *read == before || diverged.winner.starts_with(read);
        is_whole &= read.is_some_and(|read| is_one_of_both(&read));
    }
    is_whole
}

async fn not_written_out() -> bool {
    let store = Store::new().await;
    let fail_points = FailPoints::new(POINTS);
    let config = MongodbConfig { fail_points: fail_points.clone(), ..store.config() };
    let source = MongodbSource::open(config).await.expect("an open source");
    lead(&source, &store.identity, 1).await;
    fail_points.arm("events write: sent", 0, Fault::Crash);
    let append = |source: Arc<MongodbSource>| async move {
        let commit = commit(store.identity.log, "s", Expected::Any);
        support::append(&*source, &store.identity, vec![commit]).await.is_ok()
    };
    assert!(append(Arc::new(source)).await, "the swap decides");
    assert!(fail_points.disarm(), "the writer is gone");
    let other = Arc::new(store.open().await);
    if !append(other.clone()).await || !append(other.clone()).await {
        // what is missing is noticed
        return false;
    }
    log(&*other).await.is_some_and(|log| log.len() == 4)
}

async fn two_writers() -> bool {
    let store = Store::new().await;
    let (one, two) = (store.primary().await, store.open().await);
    for source in [&one, &two, &one] {
        let commit = commit(store.identity.log, "s", Expected::Any);
        support::append(source, &store.identity, vec![commit]).await.expect("an append");
    }
    log(&one).await.is_some_and(|log| log.len() == 4)
}

async fn lost_answer() -> bool {
    let diverged = Diverged::new().await;
    diverged.promise().await;
    let fail_points = FailPoints::new(POINTS);
    let config = MongodbConfig { fail_points: fail_points.clone(), ..diverged.store.config() };
    let source = MongodbSource::open(config).await.expect("an open source");
    let truncate = Truncate { term: Term::new(2), keep: diverged.keep, tail: diverged.tail };
    source.truncate(&diverged.store.identity, truncate).await.expect("a truncation");
    let missing =
        diverged.winner.iter().filter(|entry| entry.last() > diverged.keep.position).cloned().collect();
    fail_points.arm("head swap: done", 0, Fault::LostReply);
    let answer = apply(&source, &diverged.store.identity, 2, diverged.keep, missing).await;
    assert!(fail_points.disarm(), "the answer was lost");
    // it took place, and nobody else was there
    matches!(answer, Ok(head) if head.term == Term::new(2))
}

fn other() -> Identity {
    let (database, incarnation) = (DatabaseId::new(Uuid::from_u128(7)), Incarnation::new(Uuid::from_u128(8)));
    Identity { database, incarnation, ..support::identity(1) }
}

/// The whole log with the head it belongs to, if they are one unbroken history.
async fn log(source: &dyn Source) -> Option<Vec<Entry>> {
    let (from, to, max) = (Position::FIRST, Position::new(u64::MAX), usize::MAX);
    let page = source.read_log(ReadLog { from, to, max_events: max, max_bytes: max }).await.ok()?;
    let mut at = Point::start(page.head.identity.log);
    for entry in &page.entries {
        entry.follows(&at).ok()?;
        at = entry.point();
    }
    (at == page.head.tail).then_some(page.entries)
}

async fn apply(
    source: &dyn Source,
    of: &Identity,
    term: u64,
    previous: Point,
    entries: Vec<Entry>,
) -> Result<Head, OperationError> {
    let watermarks = Watermarks::default();
    source.apply(of, Apply { term: Term::new(term), previous, entries: entries.into(), watermarks }).await
}

/// Appends under `$config` 1.
async fn under(source: &dyn Source, of: &Identity, term: u64) {
    let batch = vec![commit(of.log, "s", Expected::Any)].into();
    let (term, config, watermarks) = (Term::new(term), ConfigVersion(1), Watermarks::default());
    source.append(of, Append { term, config, batch, watermarks }).await.expect("an append");
}

/// With more than one voter a primary does not know by itself what a majority holds: its tail may be removed.
async fn configure_three(source: &dyn Source, store: &Store) {
    let voter = |name: &str| Member {
        name: SourceName::parse(name).expect("a good name"),
        database: DatabaseId::new(Uuid::new_v4()),
        incarnation: Incarnation::new(Uuid::new_v4()),
    };
    let implicit = source.head().await.expect("a head").config.config;
    let mut config = Config { version: ConfigVersion(1), ..(*implicit).clone() };
    config.voters.extend([voter("b"), voter("c")]);
    let configure = Commit::configure(store.identity.log, &config);
    support::append(source, &store.identity, vec![configure]).await.expect("a configuration");
}
