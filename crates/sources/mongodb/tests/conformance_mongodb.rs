//! A server of MongoDB's protocol keeps the contract of a source, in memory and on disk.
//!
//! `POLYLOG_CASE` runs only the cases whose names contain it.

mod support;

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use polylog_log::{
    Approval, Desired, FailPoints, Identity, IndexOptions, Position, Source, SourceName, StepClass,
    conformance::{self, Damage, Database, Harness, Processes, Report, Violation},
};
use polylog_source_mongodb::{
    MongodbConfig, MongodbSource, POINTS,
    provision::{self, Actual},
};
use polylog_test_bed::{Keeps, MongodbServer};

/// The databases of one case stand on different servers, so that the crash of one leaves the others alone.
type Servers = [LazyLock<MongodbServer>; 3];

static IN_MEMORY: Servers = [const { LazyLock::new(|| MongodbServer::start(Keeps::Memory)) }; 3];
static ON_DISK: Servers = [const { LazyLock::new(|| MongodbServer::start(Keeps::Disk)) }; 3];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_memory_keeps_the_contract() {
    keeps_the_contract(&IN_MEMORY, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_disk_keeps_the_contract() {
    keeps_the_contract(&ON_DISK, true).await;
}

/// The case that stops every operation at every fail point takes as long as all others together: it runs with every other
/// point on each kind of server.
const CRASHES: &str = "crash::every_operation_is_whole_or_absent";

/// Where the disk counts: these run there, the others in memory. Where `POLYLOG_ALL_POINTS` is set everything runs on both.
const ON_A_DISK: [&str; 5] = [
    "promise::a_promise_survives_a_crash",
    "tails::readers_see_nothing_that_a_crash_removes",
    "durability::what_was_answered_survives_a_crash",
    CRASHES,
    "writers::a_crash_under_load_loses_and_doubles_nothing",
];

/// Each event id that is looked up is searched for among all documents by the server of these tests, and this case looks up
/// thousands: it takes minutes, and runs only where `POLYLOG_ALL_POINTS` is set.
const PROCESSES: &str = "processes::killed_processes_lose_and_double_nothing";

/// Crashes of one case that are also those of the server on disk, where `POLYLOG_ALL_POINTS` is not set: to start it again
/// takes a second.
const SERVER_CRASHES: usize = 3;

/// Here handles read in large parts: small ones make the many events of these cases thousands of requests.
const LARGE: [&str; 4] = [
    "commits::a_large_commit_is_one_entry",
    "writers::a_crash_under_load_loses_and_doubles_nothing",
    "requests::lost_late_and_repeated_requests_are_harmless",
    PROCESSES,
];

async fn keeps_the_contract(servers: &'static Servers, dies: bool) {
    let only = std::env::var("POLYLOG_CASE").unwrap_or_default();
    let is_all = std::env::var_os("POLYLOG_ALL_POINTS").is_some();
    let seed = std::env::var("POLYLOG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    let mut report = Report { seed, lines: Vec::new() };
    let is_short = |name: &str| name != PROCESSES && (name == CRASHES || ON_A_DISK.contains(&name) == dies);
    let is_here = |name: &str| is_all || is_short(name);
    let cases = conformance::cases().into_iter();
    for case in cases.filter(|case| is_here(case.name) && case.name.contains(&only)) {
        // of each request before it on one kind of server, after it on the other
        let own =
            |index: usize| is_all || case.name != CRASHES || (index + index / 2) % 2 == usize::from(dies);
        let points: Vec<_> =
            POINTS.iter().enumerate().filter(|(index, _)| own(*index)).map(|(_, point)| *point).collect();
        let kills = match (dies, is_all) {
            (false, _) => 0,
            (true, true) => usize::MAX,
            (true, false) => SERVER_CRASHES,
        };
        let databases = Databases {
            servers,
            points: points.leak(),
            has_small_parts: !LARGE.contains(&case.name),
            kills: Arc::new(AtomicUsize::new(kills)),
            count: AtomicUsize::new(0),
        };
        let start = Instant::now();
        let outcome = conformance::run(case, Arc::new(databases), seed).await;
        println!("{} {:.1?} {outcome:?}", case.name, start.elapsed());
        report.lines.push((case.name, outcome, start.elapsed()));
    }
    println!("{report}");
    assert!(report.is_ok(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let open = async |locator: String, _| {
        let source = MongodbSource::open(support::located(&locator)).await.map_err(Violation::from)?;
        Ok(Arc::new(source) as Arc<dyn Source>)
    };
    conformance::child(open).await.expect("the writer's work");
}

struct Databases {
    servers: &'static Servers,
    points: &'static [&'static str],
    has_small_parts: bool,
    /// So many crashes are also that of the server: one in memory would lose everything.
    kills: Arc<AtomicUsize>,
    count: AtomicUsize,
}

#[async_trait]
impl Harness for Databases {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        let servers = self.servers;
        let on = self.count.fetch_add(1, Ordering::Relaxed) % servers.len();
        let place = move || (servers[on].url(), servers[on].new_name());
        let (url, database) = tokio::task::spawn_blocking(place).await.map_err(Violation::new)?;
        let config = MongodbConfig { probe_rounds: 0, ..support::config(&url, &database) };
        let desired = Desired { identity, source: voter, indexes: IndexOptions::default() };
        let plan = provision::plan(&desired, &config.prefix, &Actual::default()).map_err(Violation::from)?;
        let approval = Approval::up_to(StepClass::Additive);
        provision::apply(&config, &plan, &approval).await.map_err(Violation::from)?;
        let config = MongodbConfig { fail_points: FailPoints::new(self.points), ..config };
        let opened = Mutex::default();
        Ok(Box::new(Mongo {
            server: &servers[on],
            has_small_parts: self.has_small_parts,
            kills: self.kills.clone(),
            config,
            locator: format!("{url} {database}"),
            opened,
        }))
    }
}

struct Mongo {
    server: &'static MongodbServer,
    has_small_parts: bool,
    kills: Arc<AtomicUsize>,
    config: MongodbConfig,
    locator: String,
    opened: Mutex<Vec<Arc<MongodbSource>>>,
}

impl Mongo {
    fn opened(&self) -> std::sync::MutexGuard<'_, Vec<Arc<MongodbSource>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Database for Mongo {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        // every other handle reads its pages in small parts
        let is_small = self.has_small_parts && self.opened().len().is_multiple_of(2);
        let page_documents = if is_small { 3 } else { 2_000 };
        let config = MongodbConfig { page_documents, ..self.config.clone() };
        let source = Arc::new(MongodbSource::open(config).await.map_err(Violation::from)?);
        self.opened().push(source.clone());
        Ok(source)
    }

    /// Every handle is dead, with what it has in flight; and the server is killed, where it keeps what it holds, so often.
    async fn crash(&self) -> Result<(), Violation> {
        let one_less = |left: usize| left.checked_sub(1);
        if self.kills.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            let server = self.server;
            let restart = move || {
                server.crash();
                server.start_again();
            };
            tokio::task::spawn_blocking(restart).await.map_err(Violation::new)?;
        }
        let opened = std::mem::take(&mut *self.opened());
        for source in opened {
            source.close().await;
        }
        Ok(())
    }

    async fn damage(&self, position: Position, damage: Damage) -> Result<bool, Violation> {
        let (url, database) = self.locator.split_once(' ').ok_or_else(|| Violation::new("a locator"))?;
        let client = mongodb::Client::with_uri_str(url).await.map_err(Violation::new)?;
        let events = client.database(database).collection::<Document>("polylog_events");
        let id = doc! { "_id": format!("0/{:020}", position.get()) };
        let binary = |bytes: &[u8]| Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() };
        match damage {
            Damage::Remove => events.delete_one(id).await.map(drop),
            Damage::Replace { data, data_digest, digest } => {
                let (data_digest, digest) = (binary(data_digest.as_bytes()), binary(digest.as_bytes()));
                let set = doc! { "rawData": binary(&data), "dataDigest": data_digest, "digest": digest };
                events.update_one(id, doc! { "$set": set }).await.map(drop)
            }
        }
        .map_err(Violation::new)?;
        Ok(true)
    }

    fn fail_points(&self) -> FailPoints {
        self.config.fail_points.clone()
    }

    fn processes(&self) -> Option<Processes> {
        Some(Processes { child_test: "child", locator: self.locator.clone() })
    }
}
