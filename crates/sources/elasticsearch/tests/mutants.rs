//! Tests of the tests: an engine without one of the rules of a document store does what these scenarios see.

mod support;

use std::{sync::Arc, time::Duration};

use polylog_log::{
    Append, Apply, Commit, Config, ConfigVersion, Count, DatabaseId, Entry, Expected, FailPoints, Fault,
    Find, Head, Identity, Incarnation, Member, Nonce, OperationError, Order, Point, Position, ReadLog,
    Sought, Source, SourceName, StreamAppend, Term, Truncate, Verdict, Watermarks, Words,
};
use polylog_source_elasticsearch::{
    ElasticsearchConfig, ElasticsearchSource, Mutant, OldPrimary, POINTS, SlowWriter, repeat_next_swap,
    switch,
};
use support::{Store, commit, lead};
use uuid::Uuid;

/// What goes wrong, and who sees it.
const MUTANTS: [(Mutant, Scenario); 15] = [
    (Mutant::InsertIfAbsent, Scenario::Overwritten),
    (Mutant::BlindUpsert, Scenario::WrittenOutLate),
    (Mutant::FenceByTerm, Scenario::WrittenOutLateUnderTheNewTerm),
    (Mutant::NoWaitForWriteOut, Scenario::NotWrittenOut),
    (Mutant::NoCutsRead, Scenario::ReadMeanwhile),
    (Mutant::UnresolvedSwap, Scenario::LostAnswer),
    (Mutant::ConflictIsRefusal, Scenario::OwnConflict),
    (Mutant::BulkItemsIgnored, Scenario::Blocked),
    (Mutant::LookupBelieved, Scenario::WrittenAgain),
    (Mutant::HeadsBelieved, Scenario::WrittenOutByAnOldPrimary),
    (Mutant::HeadsBelieved, Scenario::ShownByAnOldPrimary),
    (Mutant::HeadsBelieved, Scenario::RefusedByAnOldPrimary),
    (Mutant::NoRefresh, Scenario::Searched),
    (Mutant::SearchBeyondVisible, Scenario::Searched),
    (Mutant::GapsBelieved, Scenario::Searched),
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
    /// An apply takes place, and its answer is lost.
    LostAnswer,
    /// An apply takes place, is repeated by the cluster, and so meets its own write.
    OwnConflict,
    /// A server takes no events for a while, but everything else.
    Blocked,
    /// What a truncation removed is appended again.
    WrittenAgain,
    /// A server that lost its cluster has a head that never was the log's, and somebody else reads it there and appends;
    WrittenOutByAnOldPrimary,
    /// or reads the log;
    ShownByAnOldPrimary,
    /// or meets a promise that it alone has.
    RefusedByAnOldPrimary,
    /// Events are searched and counted as soon as they are there, some of them written without their words, up to a
    /// position before the end.
    Searched,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_a_rule_of_document_stores_is_caught() {
    // what the engine asks of a server does not depend on the product
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
        Scenario::LostAnswer | Scenario::OwnConflict => unclear_answer(scenario).await,
        Scenario::Blocked => blocked().await,
        Scenario::WrittenAgain => written_again().await,
        Scenario::WrittenOutByAnOldPrimary
        | Scenario::ShownByAnOldPrimary
        | Scenario::RefusedByAnOldPrimary => old_primary(scenario).await,
        Scenario::Searched => searched().await,
    }
}

async fn searched() -> bool {
    let store = Store::new().await;
    let open = async |full_text| {
        let config = ElasticsearchConfig { full_text, read_beyond: 0, ..store.config() };
        ElasticsearchSource::open(config).await.expect("an open source")
    };
    let (blind, source) = (open(false).await, open(true).await);
    lead(&source, &store.identity, 1).await;
    // a batch is written out by whoever appends the next one
    for source in [&blind, &blind, &source, &source, &source] {
        let event = polylog_test_bed::acts::event(r#"{"n":1}"#);
        let append = StreamAppend::new(polylog_test_bed::acts::stream("s"), Expected::Any, vec![event]);
        let commit = Commit::new(store.identity.log, vec![append]);
        support::append(source, &store.identity, vec![commit]).await.expect("an append");
    }
    let log = log(&source).await.expect("the log");
    let events: Vec<_> = log.iter().flat_map(|entry| &entry.events).collect();
    let to = Position::new(events.len() as u64 - 2);
    let words = Words::parse("1").expect("a word");
    let sought = Sought { to, words: Some(words), ..Sought::default() };
    let expected: Vec<_> = events.into_iter().filter(|event| sought.holds(event)).collect();
    let count = Count { sought: sought.clone(), slice: None, names: Vec::new() };
    let find = Find {
        sought,
        order: Order::Position,
        after: None,
        max_events: 100,
        max_bytes: usize::MAX,
        counts: true,
    };
    let found = source.find_by_index(find).await.expect("an answer");
    let counted = source.count_by_index(count).await.expect("an answer");
    assert!(expected.len() >= 2, "{expected:?}");
    found.is_some_and(|found| found.events.iter().map(|event| &event.event).eq(expected.iter().copied()))
        && counted.is_some_and(|counted| {
            counted.rows.iter().map(|row| row.count).sum::<u64>() == expected.len() as u64
        })
}

/// A source with a tail that lost, and the log that won.
struct Diverged {
    source: ElasticsearchSource,
    store: Store,
    keep: Point,
    tail: Point,
    winner: Vec<Entry>,
    /// The last commit of the tail that lost.
    last: Commit,
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
        let mut last = None;
        for _ in 0..3 {
            last = Some(under(&source, &store.identity, 1).await);
            under(&winner, &other.identity, 2).await;
        }
        let last = last.expect("a commit");
        let tail = source.head().await.expect("a head").tail;
        let winner = log(&winner).await.expect("the log");
        Self { source, store, keep, tail, winner, last }
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
        let config = ElasticsearchConfig { fail_points: fail_points.clone(), ..diverged.store.config() };
        let reader = ElasticsearchSource::open(config).await.expect("an open source");
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
    let config = ElasticsearchConfig { fail_points: fail_points.clone(), ..store.config() };
    let source = ElasticsearchSource::open(config).await.expect("an open source");
    lead(&source, &store.identity, 1).await;
    fail_points.arm("events write: sent", 0, Fault::Crash);
    let append = |source: Arc<ElasticsearchSource>| async move {
        let commit = commit(store.identity.log, "s", Expected::Any);
        support::append(&*source, &store.identity, vec![commit]).await.expect("an append")
    };
    append(Arc::new(source)).await;
    assert!(fail_points.disarm(), "the writer is gone");
    let other = Arc::new(store.open().await);
    append(other.clone()).await;
    append(other.clone()).await;
    log(&*other).await.is_some_and(|log| log.len() == 4)
}

async fn unclear_answer(scenario: Scenario) -> bool {
    let diverged = Diverged::new().await;
    diverged.promise().await;
    let fail_points = FailPoints::new(POINTS);
    let config = ElasticsearchConfig { fail_points: fail_points.clone(), ..diverged.store.config() };
    let source = ElasticsearchSource::open(config).await.expect("an open source");
    let truncate = Truncate { term: Term::new(2), keep: diverged.keep, tail: diverged.tail };
    source.truncate(&diverged.store.identity, truncate).await.expect("a truncation");
    let missing =
        diverged.winner.iter().filter(|entry| entry.last() > diverged.keep.position).cloned().collect();
    match scenario {
        Scenario::OwnConflict => repeat_next_swap(),
        _ => fail_points.arm("head swap: done", 0, Fault::LostReply),
    }
    let answer = apply(&source, &diverged.store.identity, 2, diverged.keep, missing).await;
    assert!(scenario == Scenario::OwnConflict || fail_points.disarm(), "the answer was lost");
    // it took place, and nobody else was there
    matches!(answer, Ok(head) if head.term == Term::new(2))
}

async fn blocked() -> bool {
    let store = Store::alone().await;
    let source = store.primary().await;
    let append = async || {
        let commit = commit(store.identity.log, "s", Expected::Any);
        support::append(&source, &store.identity, vec![commit]).await
    };
    append().await.expect("an append");
    store.block_events(true);
    let taken = append().await.expect("an append that is in the head").head.tail;
    let refused = append().await;
    store.block_events(false);
    append().await.expect("an append");
    let log = log(&source).await;
    refused.is_err()
        && log.is_some_and(|log| log.len() == 4 && log.iter().any(|entry| entry.point() == taken))
}

async fn written_again() -> bool {
    let diverged = Diverged::new().await;
    let (source, of) = (&diverged.source, &diverged.store.identity);
    diverged.promise().await;
    let truncate = Truncate { term: Term::new(2), keep: diverged.keep, tail: diverged.tail };
    source.truncate(of, truncate).await.expect("a truncation");
    lead(source, of, 3).await;
    let append = Append {
        term: Term::new(3),
        config: ConfigVersion(1),
        batch: vec![diverged.last.clone()].into(),
        watermarks: Watermarks::default(),
    };
    let appended = source.append(of, append).await.expect("an append");
    matches!(&appended.verdicts[..], [Verdict::Committed(_)])
}

async fn old_primary(scenario: Scenario) -> bool {
    let store = Store::new().await;
    let config = ElasticsearchConfig { operation_timeout: Duration::from_millis(300), ..store.config() };
    let open = async || ElasticsearchSource::open(config.clone()).await.expect("an open source");
    let (alone, also, source) = (open().await, open().await, store.primary().await);
    let commit = || vec![commit(store.identity.log, "s", Expected::Any)];
    let old = OldPrimary::keeps_the_next_swap_of(&alone);
    let unknown = match scenario {
        Scenario::RefusedByAnOldPrimary => {
            let nonce = Nonce::new(Uuid::from_u128(1));
            alone.promise(&store.identity, Term::new(7), nonce).await.map(drop)
        }
        _ => support::append(&alone, &store.identity, commit()).await.map(drop),
    };
    assert!(matches!(unknown, Err(OperationError::Unknown(_))), "{unknown:?}");
    // what the log goes on with is written out, under the revision that the old primary's has
    for _ in 0..2 {
        support::append(&source, &store.identity, commit()).await.expect("an append");
    }
    let before = log(&source).await.expect("the log");
    old.is_all_that_is_reached_by(&also);
    let seen = match scenario {
        Scenario::ShownByAnOldPrimary => log(&also).await.is_none(),
        _ => {
            let answer = support::append(&also, &store.identity, commit()).await;
            !matches!(answer, Err(OperationError::Refused { .. }) | Ok(_))
        }
    };
    drop(old);
    seen && log(&source).await.is_some_and(|log| log == before) && log(&also).await.is_some()
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
async fn under(source: &dyn Source, of: &Identity, term: u64) -> Commit {
    let commit = commit(of.log, "s", Expected::Any);
    let batch = vec![commit.clone()].into();
    let (term, config, watermarks) = (Term::new(term), ConfigVersion(1), Watermarks::default());
    source.append(of, Append { term, config, batch, watermarks }).await.expect("an append");
    commit
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
