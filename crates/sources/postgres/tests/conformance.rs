//! PostgreSQL keeps the contract of a source.

use std::sync::{
    Arc, LazyLock, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use polylog_log::{
    Approval, Desired, FailPoints, Identity, IndexOptions, Position, Source, SourceName, StepClass,
    conformance::{self, Damage, Database, Harness, Processes, Violation, run_all},
};
use polylog_source_postgres::{
    Address, POINTS, PostgresConfig, PostgresSource, SchemaName,
    provision::{self, Actual, Place},
};
use polylog_test_bed::PostgresServer;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The databases of one case stand on different servers, so that the crash of one leaves the others alone.
static SERVERS: [LazyLock<PostgresServer>; 3] = [const { LazyLock::new(PostgresServer::start) }; 3];

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_contract() {
    let report = run_all(Arc::new(Schemas::default())).await;
    println!("{report}");
    assert!(report.is_ok(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let open = async |locator: String, _| {
        let (url, schema) = locator.split_once(' ').ok_or_else(|| Violation::new("a locator"))?;
        let source = PostgresSource::open(config(url, schema)).await.map_err(Violation::from)?;
        Ok(Arc::new(source) as Arc<dyn Source>)
    };
    conformance::child(open).await.expect("the writer's work");
}

fn config(url: &str, schema: &str) -> PostgresConfig {
    let address = Address::parse(url).expect("a good address");
    PostgresConfig::new(address, SchemaName::parse(schema).expect("a good name"))
}

/// Makes schemas, and uses them again: to create the tables takes longer than most cases.
#[derive(Default)]
struct Schemas {
    count: AtomicUsize,
    free: Arc<[Mutex<Vec<Tables>>; 3]>,
    /// What [`Tables::empty`] leaves: the same everywhere.
    emptied: tokio::sync::OnceCell<Actual>,
}

#[async_trait]
impl Harness for Schemas {
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
                let url = move || SERVERS[on].socket_url("postgres");
                let url = tokio::task::spawn_blocking(url).await.map_err(Violation::new)?;
                (Tables { url, schema: format!("store_{number}") }, Actual::Absent)
            }
        };
        let desired = Desired { identity, source: voter, indexes: IndexOptions::default() };
        let (config, place) = (tables.config(), tables.place());
        let plan = provision::plan(&desired, &place, &actual).map_err(Violation::from)?;
        provision::apply(&config, &place, &plan, &Approval::up_to(StepClass::Additive))
            .await
            .map_err(Violation::from)?;
        let fail_points = FailPoints::new(POINTS);
        Ok(Box::new(Schema { on, tables, fail_points, opened: AtomicUsize::new(0), free: self.free.clone() }))
    }
}

/// Our tables in a schema.
#[derive(Clone)]
struct Tables {
    url: String,
    schema: String,
}

impl Tables {
    fn config(&self) -> PostgresConfig {
        config(&self.url, &self.schema)
    }

    fn place(&self) -> Place {
        Place { schema: self.config().schema, create_schema: true, role: None }
    }

    /// Empties them: what is left is what a provisioning that did not come to its end leaves.
    async fn empty(&self) -> Result<(), Violation> {
        let delete = |table| format!("DELETE FROM {}.polylog_{table}", self.schema);
        let tables = ["events", "configs", "cuts", "quarantine", "leases", "head"];
        let mut connection = PgConnection::connect(&self.url).await.map_err(Violation::new)?;
        sqlx::raw_sql(AssertSqlSafe(tables.map(delete).join(";")))
            .execute(&mut connection)
            .await
            .map_err(Violation::new)?;
        Ok(())
    }
}

struct Schema {
    on: usize,
    tables: Tables,
    fail_points: FailPoints,
    opened: AtomicUsize,
    free: Arc<[Mutex<Vec<Tables>>; 3]>,
}

impl Drop for Schema {
    fn drop(&mut self) {
        self.free[self.on].lock().unwrap_or_else(PoisonError::into_inner).push(self.tables.clone());
    }
}

#[async_trait]
impl Database for Schema {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        // every other handle reads its pages in small parts
        let page_rows = if self.opened.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { 3 } else { 2_000 };
        let fail_points = self.fail_points.clone();
        let config = PostgresConfig { fail_points, page_rows, ..self.tables.config() };
        Ok(Arc::new(PostgresSource::open(config).await.map_err(Violation::from)?))
    }

    /// Every process of the server is killed; what was not in its log on disk is gone.
    async fn crash(&self) -> Result<(), Violation> {
        let server = &SERVERS[self.on];
        let restart = move || {
            server.crash();
            server.start_again();
        };
        tokio::task::spawn_blocking(restart).await.map_err(Violation::new)
    }

    async fn damage(&self, position: Position, damage: Damage) -> Result<bool, Violation> {
        let mut connection = PgConnection::connect(&self.tables.url).await.map_err(Violation::new)?;
        let (at, table) = (position.get().cast_signed(), format!("{}.polylog_events", self.tables.schema));
        let done = match damage {
            Damage::Remove => {
                let delete = AssertSqlSafe(format!("DELETE FROM {table} WHERE position = $1"));
                sqlx::query(delete).bind(at).execute(&mut connection).await
            }
            Damage::Replace { data, data_digest, digest } => {
                let set = "data = $2, data_digest = $3, digest = $4";
                let update = AssertSqlSafe(format!("UPDATE {table} SET {set} WHERE position = $1"));
                let update = sqlx::query(update).bind(at).bind(data);
                let update = update.bind(data_digest.as_bytes().to_vec()).bind(digest.as_bytes().to_vec());
                update.execute(&mut connection).await
            }
        };
        done.map_err(Violation::new)?;
        Ok(true)
    }

    fn fail_points(&self) -> FailPoints {
        self.fail_points.clone()
    }

    fn processes(&self) -> Option<Processes> {
        let locator = format!("{} {}", self.tables.url, self.tables.schema);
        Some(Processes { child_test: "child", locator })
    }
}
