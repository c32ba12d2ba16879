//! What the tests of this engine share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use polylog_log::{Applied, Approval, Failure, Identity, Source, StepClass};
use polylog_source_postgres::{
    Address, PostgresConfig, PostgresSource, SchemaName,
    provision::{self, Place},
};
use polylog_test_bed::PostgresServer;
pub(crate) use polylog_test_bed::acts::{
    append, carry, check_log, child, commit, desired, event, identity, lead, stream, task, write,
};

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

#[async_trait]
impl polylog_test_bed::Place for Store {
    fn identity(&self) -> Identity {
        self.identity
    }

    async fn open(&self) -> Arc<dyn Source> {
        Arc::new(Store::open(self).await)
    }

    fn locator(&self) -> String {
        self.url.clone()
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

/// Everything but destructive steps.
pub(crate) async fn provision(config: &PostgresConfig, identity: Identity) -> Result<Applied, Failure> {
    let actual = provision::inspect(config, &place()).await?;
    let plan = provision::plan(&desired(identity), &place(), &actual)?;
    provision::apply(config, &place(), &plan, &Approval::up_to(StepClass::Slow)).await
}

/// A session of somebody else.
pub(crate) async fn session(url: &str) -> sqlx::PgConnection {
    <sqlx::PgConnection as sqlx::Connection>::connect(url).await.expect("a session")
}

/// Runs SQL in a session.
pub(crate) async fn run(session: &mut sqlx::PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(session).await.expect("done");
}
