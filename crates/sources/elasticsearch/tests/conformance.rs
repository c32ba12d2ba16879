//! Elasticsearch and OpenSearch keep the contract of a source.

mod support;

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use polylog_log::{
    Approval, Commit, Count, Desired, Expected, FailPoints, Failure, Identity, IndexOptions, NewEvent,
    Sought, Source, SourceName, StepClass, StreamAppend, Timestamp, Words,
    conformance::{self, Database, Harness, Processes, Report, Violation},
};
use polylog_source_elasticsearch::{
    ElasticsearchConfig, ElasticsearchSource, POINTS,
    provision::{self, Actual, Place},
};
use polylog_test_bed::{
    Product,
    acts::{event, stream},
};
use support::{LAYOUT, config, server};
use tokio::sync::OnceCell;

/// The logs of all cases share their indices: to make some takes longer than most cases.
const PREFIX: &str = "kit";

/// How often the server itself is killed in the crashes of a case, first ones first; in the others only the processes that
/// use it end. To start it again takes seconds.
const SERVER_CRASHES: [(&str, usize); 4] = [
    ("tails::readers_see_nothing_that_a_crash_removes", 1),
    ("durability::what_was_answered_survives_a_crash", 1),
    ("crash::every_operation_is_whole_or_absent", 1),
    ("writers::a_crash_under_load_loses_and_doubles_nothing", 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_keeps_the_contract() {
    keeps_the_contract(Product::Elasticsearch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_keeps_the_contract() {
    keeps_the_contract(Product::OpenSearch).await;
}

/// What the engine asks of a server does not depend on the product: every other case runs on each, and of the case that
/// stops every operation at every fail point one point; all of them on both where `POLYLOG_ALL_CASES` is set.
const CRASHES: &str = "crash::every_operation_is_whole_or_absent";

/// These run only there: they take longer than all others together.
const LONG: [&str; 9] = [
    "commits::a_large_commit_is_one_entry",
    "names::names_are_told_apart_by_their_bytes",
    "payloads::large_data_is_kept",
    "snapshots::a_page_belongs_to_its_head",
    "snapshots::late_requests_change_nothing",
    "tails::readers_see_nothing_that_a_crash_removes",
    "writers::a_crash_under_load_loses_and_doubles_nothing",
    "writers::a_retry_waits_for_its_first_try",
    "writers::many_writers_lose_and_double_nothing",
];

/// Themes whose pages are searched as soon as there is something to search; in the others they are read one by one for
/// longer, since to make events searchable takes longer than most reads.
const SEARCHED: [&str; 6] = ["names", "truncate", "tails", "snapshots", "commits", "indexes"];

/// These depend on what a product makes of queries.
const ON_BOTH: [&str; 2] = ["search", "indexes"];

/// Its handles read in large parts: small ones make the many events of this case thousands of requests.
const LARGE: &str = "commits::a_large_commit_is_one_entry";

async fn keeps_the_contract(product: Product) {
    let only = std::env::var("POLYLOG_CASE").unwrap_or_default();
    let seed = std::env::var("POLYLOG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    let mut report = Report { seed, lines: Vec::new() };
    let emptied = Arc::new(OnceCell::new());
    let is_own = |index: usize, name: &str| {
        let is_short = !LONG.contains(&name) && (name == CRASHES || index % 2 == own_half(product));
        let is_for_both = ON_BOTH.iter().any(|theme| name.starts_with(theme));
        is_all() || !only.is_empty() || is_short || is_for_both
    };
    let cases = conformance::cases().into_iter().enumerate();
    let own = cases.filter(|(index, case)| case.name.contains(&only) && is_own(*index, case.name));
    for (_, case) in own {
        let kills = SERVER_CRASHES.iter().find(|(name, _)| *name == case.name).map_or(0, |(_, kills)| *kills);
        let kills = Arc::new(AtomicUsize::new(kills));
        let runs: Vec<&'static [&'static str]> = match case.name {
            CRASHES => own_points(product),
            _ => vec![POINTS],
        };
        for points in runs {
            let (kills, emptied) = (kills.clone(), emptied.clone());
            let small_parts = case.name != LARGE;
            let searches = SEARCHED.iter().any(|theme| case.name.starts_with(theme));
            let opened = AtomicUsize::new(0);
            let stores = Arc::new(Stores { product, points, small_parts, searches, opened, kills, emptied });
            let start = Instant::now();
            let outcome = conformance::run(case, stores, seed).await;
            let took = start.elapsed();
            println!("{product:?}: {} of {} points, {took:.1?}: {outcome:?}", case.name, points.len());
            report.lines.push((case.name, outcome, took));
        }
    }
    println!("{product:?} {report}");
    assert!(report.is_ok(), "{product:?} {report}");
}

fn is_all() -> bool {
    std::env::var_os("POLYLOG_ALL_CASES").is_some()
}

fn own_half(product: Product) -> usize {
    usize::from(product == Product::OpenSearch)
}

/// The fail points of the case of crashes that this product takes, each alone.
fn own_points(product: Product) -> Vec<&'static [&'static str]> {
    let own = ["head swap: done", "events write: sent"][own_half(product)];
    POINTS.chunks(1).filter(|point| is_all() || point[0] == own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let open = async |locator: String, _| {
        let (url, key) = locator.split_once(' ').ok_or_else(|| Violation::new("a locator"))?;
        let source = ElasticsearchSource::open(config(url, PREFIX, key)).await.map_err(Violation::from)?;
        Ok(Arc::new(source) as Arc<dyn Source>)
    };
    conformance::child(open).await.expect("the writer's work");
}

/// Makes logs on a server.
struct Stores {
    product: Product,
    points: &'static [&'static str],
    small_parts: bool,
    searches: bool,
    opened: AtomicUsize,
    kills: Arc<AtomicUsize>,
    /// What is there before a log begins, once the indices are made.
    emptied: Arc<OnceCell<Actual>>,
}

#[async_trait]
impl Harness for Stores {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        let product = self.product;
        let place = move || (server(product).url(), server(product).new_name());
        let (url, key) = tokio::task::spawn_blocking(place).await.map_err(Violation::new)?;
        let config = config(&url, PREFIX, &key);
        let place = Place { indices: config.indices.clone(), layout: LAYOUT, flavor: None };
        let first = async || {
            let actual = provision::inspect(&config, &place).await?;
            // the indices, for all logs
            let desired = Desired { identity, source: voter.clone(), indexes: IndexOptions::default() };
            let mut plan = provision::plan(&desired, &place, &actual)?;
            plan.steps.pop();
            provision::apply(&config, &place, &plan, &Approval::up_to(StepClass::Additive)).await?;
            provision::inspect(&config, &place).await
        };
        let actual =
            self.emptied.get_or_try_init(first).await.map_err(|failure: Failure| Violation::from(failure))?;
        let desired = Desired { identity, source: voter.clone(), indexes: IndexOptions::default() };
        let plan = provision::plan(&desired, &place, actual).map_err(Violation::from)?;
        provision::apply(&config, &place, &plan, &Approval::up_to(StepClass::Additive))
            .await
            .map_err(Violation::from)?;
        let first = self.opened.fetch_add(1, Ordering::Relaxed);
        let config = ElasticsearchConfig { fail_points: FailPoints::new(self.points), ..config };
        let (kills, opened, small_parts) = (self.kills.clone(), AtomicUsize::new(first), self.small_parts);
        let searches = self.searches;
        Ok(Box::new(Provisioned {
            product,
            url,
            config,
            kills,
            opened,
            small_parts,
            searches,
            handles: Mutex::default(),
        }))
    }
}

struct Provisioned {
    product: Product,
    url: String,
    config: ElasticsearchConfig,
    kills: Arc<AtomicUsize>,
    opened: AtomicUsize,
    small_parts: bool,
    searches: bool,
    handles: Mutex<Vec<Arc<ElasticsearchSource>>>,
}

#[async_trait]
impl Database for Provisioned {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        // every other handle reads its pages in small parts, searches as soon as it can, and may vote
        let config = match self.opened.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            true if self.small_parts => ElasticsearchConfig {
                page_documents: 3,
                read_beyond: if self.searches { 2 } else { 16 },
                ..self.config.clone()
            },
            true => self.config.clone(),
            false => ElasticsearchConfig { may_vote: false, ..self.config.clone() },
        };
        let source = Arc::new(ElasticsearchSource::open(config).await.map_err(Violation::from)?);
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(source.clone());
        Ok(source)
    }

    async fn crash(&self) -> Result<(), Violation> {
        let handles = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        let take = |kills: usize| kills.checked_sub(1);
        if self.kills.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok() {
            let server = server(self.product);
            let restart = move || {
                server.crash();
                server.start_again();
            };
            tokio::task::spawn_blocking(restart).await.map_err(Violation::new)?;
        }
        // what was sent before has come to its end
        for handle in handles {
            handle.close().await;
        }
        Ok(())
    }

    fn fail_points(&self) -> FailPoints {
        self.config.fail_points.clone()
    }

    fn processes(&self) -> Option<Processes> {
        Some(Processes {
            child_test: "child",
            locator: format!("{} {}", self.url, self.config.indices.key()),
        })
    }
}

/// A copy that its cluster has given up may answer reads: a source that votes has none, and one that only follows may.
#[tokio::test(flavor = "multi_thread")]
async fn indices_that_are_not_fit_for_a_role_are_refused() {
    let store = support::Store::alone().await;
    let open = async |config: ElasticsearchConfig| ElasticsearchSource::open(config).await.err();
    let follows = || ElasticsearchConfig { may_vote: false, ..store.config() };
    assert_eq!(open(store.config()).await, None);
    store.set(r#"{"index.number_of_replicas":1}"#);
    let copies = open(store.config()).await.expect("a refusal").to_string();
    assert!(copies.contains("number_of_replicas") && copies.contains("Learner"), "{copies}");
    assert_eq!(open(follows()).await, None);
    store.set(r#"{"index.number_of_replicas":0,"index.translog.durability":"async"}"#);
    for config in [store.config(), follows()] {
        let forgets = open(config.clone()).await.expect("a refusal").to_string();
        assert!(forgets.contains("translog.durability"), "{forgets}");
        assert_eq!(open(ElasticsearchConfig { allow_unsafe_durability: true, ..config }).await, None);
    }
}

/// What an index would say otherwise than a look at each event it does not say: times that a histogram does not keep, words
/// that the server would split, and events that were written without what a search needs.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_does_not_say_what_it_does_not_know() {
    let store = support::Store::alone().await;
    let open = async |full_text| {
        let config = ElasticsearchConfig { full_text, read_beyond: 0, ..store.config() };
        ElasticsearchSource::open(config).await.expect("an open source")
    };
    let (blind, source) = (open(false).await, open(true).await);
    support::lead(&source, &store.identity, 1).await;
    let append = async |source: &ElasticsearchSource, count: usize, time: &str| {
        let event = || NewEvent { time: Timestamp::parse(time).ok(), ..event("\"word\"") };
        let append = StreamAppend::new(stream("s"), Expected::Any, (0..count).map(|_| event()).collect());
        let commit = Commit::new(store.identity.log, vec![append]);
        support::append(source, &store.identity, vec![commit]).await.expect("an append");
    };
    let counted = async |words: Option<&str>, slice: Option<u32>| {
        let to = source.head().await.expect("a head").tail.position;
        let words = words.map(|words| Words::parse(words).expect("words"));
        let sought = Sought { to, words, ..Sought::default() };
        let slice = slice.and_then(NonZeroU32::new);
        let count = Count { sought, slice, names: Vec::new() };
        let counted = source.count_by_index(count).await.expect("an answer");
        counted.map(|counted| counted.rows.iter().map(|row| row.count).sum::<u64>())
    };
    let begin = Instant::now();
    for number in 1..=3 {
        append(&source, 1, "2026-01-01T00:00:00Z").await;
        assert_eq!(counted(Some("word"), Some(900)).await, Some(number), "at once");
    }
    assert!(begin.elapsed().as_secs() >= 2, "it was made searchable more than once a second");
    // a word that holds a control character, which is no space to us
    let odd = "\u{1c}\u{200d}\u{1f170}";
    assert_eq!(Words::parse(odd).expect("a word").iter().collect::<Vec<_>>(), [odd]);
    assert_eq!(counted(Some(odd), None).await, None);
    append(&source, 1, "2200-01-01T00:00:00Z").await;
    append(&source, 1, "2026-01-01T00:00:00Z").await;
    assert_eq!((counted(None, Some(900)).await, counted(None, None).await), (None, Some(5)));
    for _ in 0..2 {
        append(&blind, 200, "2026-01-01T00:00:00Z").await;
        append(&blind, 1, "2026-01-01T00:00:00Z").await;
    }
    append(&source, 1, "2026-01-01T00:00:00Z").await;
    assert_eq!((counted(Some("word"), None).await, counted(None, None).await), (None, Some(408)));
}

/// Who wrote last has less to ask before its next commit than everybody else: where it does not give way, the others hardly ever
/// write. That it reads beside, and confirms by a write what it read, changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_write_without_a_pause_share_the_log() {
    for readers in [0, 4] {
        let (store, count) = (support::Store::alone().await, Written::default());
        let (first, second) = (store.primary().await, store.open().await);
        let reading = futures::future::join_all((0..readers).map(|_| count.read(&first)));
        let (one, other, _) =
            tokio::join!(count.write(&store, &first, "one"), count.write(&store, &second, "other"), reading);
        println!("{one} and {other} commits beside {readers} readers");
        assert!(one.min(other) >= COMMITS * 3 / 10, "{one} and {other} commits beside {readers} readers");
    }
}

/// Or appends beside reads would take several times as long.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_and_writes_does_not_give_way_to_itself() {
    let (store, count) = (support::Store::alone().await, Written::default());
    let source = store.primary().await;
    let (commits, reads) = tokio::join!(count.write(&store, &source, "one"), count.read(&source));
    println!("{commits} commits beside {reads} reads");
    assert!(reads < 6 * commits, "{commits} commits beside {reads} reads");
}

/// How many commits there are in all when everybody stops.
const COMMITS: usize = 300;

/// The commits of all who write.
#[derive(Default)]
struct Written(AtomicUsize);

impl Written {
    /// Writes until there are enough; gives how many were its own.
    async fn write(&self, store: &support::Store, source: &ElasticsearchSource, name: &str) -> usize {
        let mut own = 0;
        while self.0.load(Ordering::Relaxed) < COMMITS {
            let append = StreamAppend::new(stream(name), Expected::Any, vec![event("1")]);
            let commit = Commit::new(store.identity.log, vec![append]);
            support::append(source, &store.identity, vec![commit]).await.expect("an append");
            self.0.fetch_add(1, Ordering::Relaxed);
            own += 1;
        }
        own
    }

    /// Reads until there are enough; gives how often.
    async fn read(&self, source: &ElasticsearchSource) -> usize {
        let mut reads = 0;
        while self.0.load(Ordering::Relaxed) < COMMITS {
            source.head().await.expect("a head");
            reads += 1;
        }
        reads
    }
}
