//! PostgreSQL keeps the contract of a source.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use polylog_log::{
    Approval, Desired, FailPoints, Identity, IndexOptions, Source, SourceName, StepClass,
    conformance::{self, Database, Harness, Processes, Violation, run_all},
};
use polylog_source_postgres::{
    Address, POINTS, PostgresConfig, PostgresSource, SchemaName,
    provision::{self, Actual, Place},
};
use polylog_test_bed::PostgresServer;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_contract() {
    if let Ok(only) = std::env::var("ONLY") {
        for case in conformance::cases().into_iter().filter(|case| case.name.contains(&only)) {
            let start = std::time::Instant::now();
            let outcome = conformance::run(case, Arc::new(Schemas::default()), 20_261_121).await;
            println!("{} {:?} {outcome:?}", case.name, start.elapsed());
        }
        return;
    }
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

/// Makes schemas in one database.
#[derive(Default)]
struct Schemas {
    count: AtomicU32,
}

#[async_trait]
impl Harness for Schemas {
    async fn create(&self, identity: Identity, voter: SourceName) -> Result<Box<dyn Database>, Violation> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let url = tokio::task::spawn_blocking(|| SERVER.url("postgres")).await.map_err(Violation::new)?;
        let config = config(&url, &format!("store_{number}"));
        let place = Place { schema: config.schema.clone(), create_schema: true, role: None };
        let desired = Desired { identity, source: voter, indexes: IndexOptions::default() };
        let plan = provision::plan(&desired, &place, &Actual::Absent).map_err(Violation::from)?;
        provision::apply(&config, &place, &plan, &Approval::up_to(StepClass::Additive))
            .await
            .map_err(Violation::from)?;
        Ok(Box::new(Schema { url, fail_points: FailPoints::new(POINTS), config }))
    }
}

struct Schema {
    url: String,
    config: PostgresConfig,
    fail_points: FailPoints,
}

#[async_trait]
impl Database for Schema {
    async fn open(&self) -> Result<Arc<dyn Source>, Violation> {
        let config = PostgresConfig { fail_points: self.fail_points.clone(), ..self.config.clone() };
        Ok(Arc::new(PostgresSource::open(config).await.map_err(Violation::from)?))
    }

    /// Every process of the server is killed; what was not in its log on disk is gone.
    async fn crash(&self) -> Result<(), Violation> {
        let restart = || {
            let t = std::time::Instant::now();
            SERVER.crash();
            let a = t.elapsed();
            SERVER.start_again();
            println!("crash {a:?} start {:?}", t.elapsed() - a);
        };
        tokio::task::spawn_blocking(restart).await.map_err(Violation::new)
    }

    fn fail_points(&self) -> FailPoints {
        self.fail_points.clone()
    }

    fn processes(&self) -> Option<Processes> {
        let locator = format!("{} {}", self.url, self.config.schema.as_str());
        Some(Processes { child_test: "child", locator })
    }
}
