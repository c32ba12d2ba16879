//! What the tests of this engine share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use polylog_log::{Applied, Approval, Desired, Failure, Identity, Source, StepClass};
use polylog_source_mongodb::{Address, DatabaseName, MongodbConfig, MongodbSource, provision};
pub(crate) use polylog_test_bed::acts::{
    append, check_log, commit, desired, entries, event, identity, lead, stream, write,
};
use polylog_test_bed::{Keeps, MongodbServer};

/// One server for the tests of a binary; those that stop it start their own.
pub(crate) static SERVER: LazyLock<MongodbServer> = LazyLock::new(|| MongodbServer::start(Keeps::Memory));

/// A database of its own.
pub(crate) struct Store {
    pub(crate) url: String,
    pub(crate) database: String,
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

    pub(crate) async fn on(server: &MongodbServer, identity: Identity) -> Self {
        let store = Self::unprovisioned(server, identity);
        provision(&store.config(), &desired(identity)).await.expect("a provisioned database");
        store
    }

    pub(crate) fn unprovisioned(server: &MongodbServer, identity: Identity) -> Self {
        Self { url: server.url(), database: server.new_name(), identity }
    }

    pub(crate) fn config(&self) -> MongodbConfig {
        config(&self.url, &self.database)
    }

    pub(crate) async fn open(&self) -> MongodbSource {
        MongodbSource::open(self.config()).await.expect("an open source")
    }

    /// Opened, and primary of term 1.
    pub(crate) async fn primary(&self) -> MongodbSource {
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
        format!("{} {}", self.url, self.database)
    }
}

/// The test servers do not look at write concerns.
pub(crate) fn config(url: &str, database: &str) -> MongodbConfig {
    let address = Address::parse(url).expect("a good address");
    let database = DatabaseName::parse(database).expect("a good name");
    MongodbConfig { allow_unsafe_durability: true, probe_rounds: 1, ..MongodbConfig::new(address, database) }
}

/// What a [`Store`] says of itself to a child process.
pub(crate) fn located(locator: &str) -> MongodbConfig {
    let (url, database) = locator.split_once(' ').expect("an address and a database");
    config(url, database)
}

/// Everything but destructive steps.
pub(crate) async fn provision(config: &MongodbConfig, desired: &Desired) -> Result<Applied, Failure> {
    let actual = provision::inspect(config).await?;
    let plan = provision::plan(desired, &config.prefix, &actual)?;
    provision::apply(config, &plan, &Approval::up_to(StepClass::Slow)).await
}
