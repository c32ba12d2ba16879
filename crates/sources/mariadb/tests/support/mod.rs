//! What the tests of this engine share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use polylog_log::{Applied, Approval, Failure, Identity, Source, StepClass};
use polylog_source_mariadb::{
    Address, DatabaseName, MariadbConfig, MariadbSource, TablePrefix, Tables,
    provision::{self, Place},
};
use polylog_test_bed::MariadbServer;
pub(crate) use polylog_test_bed::acts::{
    append, carry, check_log, child, commit, desired, event, identity, lead, stream, task, write,
};

/// One server for the tests of a binary; those that stop it or change its settings start their own.
pub(crate) static SERVER: LazyLock<MariadbServer> = LazyLock::new(MariadbServer::start);

/// Tables in a database of its own, or with a prefix of their own.
pub(crate) struct Store {
    pub(crate) database: String,
    pub(crate) prefix: String,
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

    pub(crate) async fn on(server: &MariadbServer, identity: Identity) -> Self {
        let store = Self::unprovisioned(server, identity);
        provision(&store.config(), identity).await.expect("a provisioned database");
        store
    }

    pub(crate) fn unprovisioned(server: &MariadbServer, identity: Identity) -> Self {
        let database = server.new_name();
        let url = server.url(&database);
        Self { database, prefix: String::new(), url, identity }
    }

    /// The same database with other tables.
    pub(crate) fn beside(&self, prefix: &str, identity: Identity) -> Self {
        let (database, url) = (self.database.clone(), self.url.clone());
        Self { database, prefix: prefix.into(), url, identity }
    }

    pub(crate) fn config(&self) -> MariadbConfig {
        let mut config = config(&self.url);
        config.tables.prefix = TablePrefix::parse(&self.prefix).expect("a good prefix");
        config
    }

    pub(crate) fn place(&self) -> Place {
        place(self.config().tables)
    }

    /// Runs SQL in the database, as administrator.
    pub(crate) fn execute(&self, sql: &str) -> String {
        SERVER.execute(&self.database, sql)
    }

    pub(crate) async fn open(&self) -> MariadbSource {
        MariadbSource::open(self.config()).await.expect("an open source")
    }

    pub(crate) async fn open_unchecked(&self) -> Result<MariadbSource, Failure> {
        MariadbSource::open(self.config()).await
    }

    /// Opened, and primary of term 1.
    pub(crate) async fn primary(&self) -> MariadbSource {
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

pub(crate) fn config(url: &str) -> MariadbConfig {
    let address = Address::parse(url).expect("a good address");
    let database = DatabaseName::parse(&address.database().expect("a database")).expect("a good name");
    MariadbConfig::new(address, database)
}

pub(crate) fn place(tables: Tables) -> Place {
    Place { tables, create_database: true, worker: None }
}

/// Why a source does not open.
pub(crate) async fn refusal(config: MariadbConfig) -> Failure {
    match MariadbSource::open(config).await {
        Ok(_) => panic!("it was opened"),
        Err(failure) => failure,
    }
}

/// Everything but destructive steps.
pub(crate) async fn provision(config: &MariadbConfig, identity: Identity) -> Result<Applied, Failure> {
    let place = place(config.tables.clone());
    let actual = provision::inspect(config, &place).await?;
    let plan = provision::plan(&desired(identity), &place, &actual)?;
    provision::apply(config, &place, &plan, &Approval::up_to(StepClass::Slow)).await
}

/// A session of somebody else.
pub(crate) async fn session(url: &str) -> sqlx::MySqlConnection {
    <sqlx::MySqlConnection as sqlx::Connection>::connect(url).await.expect("a session")
}

/// Runs SQL in a session.
pub(crate) async fn run(session: &mut sqlx::MySqlConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(session).await.expect("done");
}
