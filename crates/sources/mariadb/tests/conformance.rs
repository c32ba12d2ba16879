//! MariaDB keeps the contract of a source.

use std::sync::{
    Arc, LazyLock, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use polylog_log::{
    Approval, Desired, FailPoints, Identity, IndexOptions, Position, Source, SourceName, StepClass,
    conformance::{self, Damage, Database, Harness, Processes, Violation, run_all},
};
use polylog_source_mariadb::{
    Address, DatabaseName, MariadbConfig, MariadbSource, POINTS, TablePrefix, Tables,
    provision::{self, Actual, Place},
};
use polylog_test_bed::MariadbServer;

/// The databases of one case stand on different servers, so that the crash of one leaves the others alone.
static SERVERS: [LazyLock<MariadbServer>; 3] = [const { LazyLock::new(start) }; 3];

fn start() -> MariadbServer {
    let server = MariadbServer::start();
    server.execute("mysql", "CREATE DATABASE shared");
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_keeps_the_contract() {
    let report = run_all(Arc::new(Databases::default())).await;
    println!("{report}");
    assert!(report.is_ok(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let open = async |locator: String, _| {
        let mut parts = locator.split(' ');
        let (Some(url), Some(database), Some(prefix)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Violation::new("a locator"));
        };
        let source = MariadbSource::open(config(url, database, prefix)).await.map_err(Violation::from)?;
        Ok(Arc::new(source) as Arc<dyn Source>)
    };
    conformance::child(open).await.expect("the writer's work");
}

fn config(url: &str, database: &str, prefix: &str) -> MariadbConfig {
    let address = Address::parse(url).expect("a good address");
    let database = DatabaseName::parse(database).expect("a good name");
    let prefix = TablePrefix::parse(prefix).expect("a good prefix");
    MariadbConfig::new(address, Tables { database, prefix })
}

/// Makes databases, and uses them again: to create the tables takes longer than most cases. Every other one is a prefix of
/// its own in a database that they share.
#[derive(Default)]
struct Databases {
    count: AtomicUsize,
    free: Arc<[Mutex<Vec<Made>>; 3]>,
    /// What [`Made::empty`] leaves: the same everywhere.
    emptied: tokio::sync::OnceCell<Actual>,
}

#[async_trait]
impl Harness for Databases {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let on = number % SERVERS.len();
        let free = self.free[on].lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (tables, actual) = match free {
            Some(tables) => {
                tables.empty().await?;
                let look = async || provision::inspect(&tables.config(), &tables.place()).await;
                let actual = self.emptied.get_or_try_init(look).await.map_err(Violation::from)?.clone();
                (tables, actual)
            }
            None => {
                let url = move || SERVERS[on].url("");
                let url = tokio::task::spawn_blocking(url).await.map_err(Violation::new)?;
                let (database, prefix) = if number.is_multiple_of(2) {
                    (format!("store_{number}"), String::new())
                } else {
                    ("shared".to_owned(), format!("s{number}_"))
                };
                let actual = if prefix.is_empty() { Actual::Absent } else { Actual::Empty };
                (Made { on, url, database, prefix }, actual)
            }
        };
        let desired = Desired { identity, source: voter, indexes: IndexOptions::default() };
        let (config, place) = (tables.config(), tables.place());
        let plan = provision::plan(&desired, &place, &actual).map_err(Violation::from)?;
        provision::apply(&config, &place, &plan, &Approval::up_to(StepClass::Additive))
            .await
            .map_err(Violation::from)?;
        let fail_points = FailPoints::new(POINTS);
        Ok(Box::new(Provisioned {
            on,
            tables,
            fail_points,
            opened: AtomicUsize::new(0),
            free: self.free.clone(),
        }))
    }
}

/// Our tables in a database.
#[derive(Clone)]
struct Made {
    on: usize,
    url: String,
    database: String,
    prefix: String,
}

impl Made {
    fn config(&self) -> MariadbConfig {
        config(&self.url, &self.database, &self.prefix)
    }

    fn place(&self) -> Place {
        Place { tables: self.config().tables, create_database: true, worker: None }
    }

    /// Empties them: what is left is what a provisioning that did not come to its end leaves.
    async fn empty(&self) -> Result<(), Violation> {
        let delete = |table| format!("DELETE FROM {}polylog_{table}", self.prefix);
        let tables = ["events", "configs", "cuts", "quarantine", "leases", "head"];
        let (sql, on, database) = (tables.map(delete).join(";"), self.on, self.database.clone());
        let empty = move || SERVERS[on].execute(&database, &sql);
        tokio::task::spawn_blocking(empty).await.map(drop).map_err(Violation::new)
    }
}

struct Provisioned {
    on: usize,
    tables: Made,
    fail_points: FailPoints,
    opened: AtomicUsize,
    free: Arc<[Mutex<Vec<Made>>; 3]>,
}

impl Drop for Provisioned {
    fn drop(&mut self) {
        self.free[self.on].lock().unwrap_or_else(PoisonError::into_inner).push(self.tables.clone());
    }
}

#[async_trait]
impl Database for Provisioned {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        // every other handle reads its pages in small parts
        let page_rows = if self.opened.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { 3 } else { 2_000 };
        let fail_points = self.fail_points.clone();
        let config = MariadbConfig { fail_points, page_rows, ..self.tables.config() };
        Ok(Arc::new(MariadbSource::open(config).await.map_err(Violation::from)?))
    }

    /// The server is killed; what was not in its log on disk is gone.
    async fn crash(&self) -> Result<(), Violation> {
        let server = &SERVERS[self.on];
        let restart = move || {
            server.crash();
            server.start_again();
        };
        tokio::task::spawn_blocking(restart).await.map_err(Violation::new)
    }

    async fn damage(&self, position: Position, damage: Damage) -> Result<bool, Violation> {
        let Made { on, database, prefix, .. } = self.tables.clone();
        let (at, table) = (position.get(), format!("{prefix}polylog_events"));
        let sql = match damage {
            Damage::Remove => format!("DELETE FROM {table} WHERE position = {at}"),
            Damage::Replace { data, data_digest, digest } => {
                let data: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
                let set = format!("data = X'{data}', data_digest = X'{data_digest}', digest = X'{digest}'");
                format!("UPDATE {table} SET {set} WHERE position = {at}")
            }
        };
        let execute = move || SERVERS[on].execute(&database, &sql);
        tokio::task::spawn_blocking(execute).await.map_err(Violation::new)?;
        Ok(true)
    }

    fn fail_points(&self) -> FailPoints {
        self.fail_points.clone()
    }

    fn processes(&self) -> Option<Processes> {
        let Made { url, database, prefix, .. } = &self.tables;
        let locator = format!("{url} {database} {prefix}");
        Some(Processes { child_test: "child", locator })
    }
}
