use std::sync::Arc;

use async_trait::async_trait;
use polylog_log::{Failure, Source};
use polylog_source_elasticsearch::ElasticsearchSource;
use polylog_source_mariadb::MariadbSource;
use polylog_source_mongodb::MongodbSource;
use polylog_source_postgres::PostgresSource;
use polylog_source_sqlite::SqliteSource;

/// An open source of any engine.
#[derive(Clone)]
pub struct OpenSource(Arc<dyn Opened>);

/// What an engine's source can do beyond the contract.
#[async_trait]
pub(super) trait Opened: Source {
    /// The setting because of which the source may lose what it acknowledged, as it is; only where that was allowed.
    async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    /// Ends the source: what was handed to it is done first.
    async fn close(&self);
}

impl OpenSource {
    pub(super) fn new(source: impl Opened + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The source, for a store.
    pub fn shared(&self) -> Arc<dyn Source> {
        self.0.clone()
    }

    /// The setting because of which the source may lose what it acknowledged, as it is; only where that was allowed.
    ///
    /// # Errors
    /// The source does not answer.
    pub async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        self.0.unsafe_setting().await
    }

    /// Ends the source: what was handed to it is done first.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

#[async_trait]
impl Opened for SqliteSource {
    async fn close(&self) {
        self.close().await;
    }
}

#[async_trait]
impl Opened for PostgresSource {
    async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        self.unsafe_setting().await
    }

    async fn close(&self) {
        self.close().await;
    }
}

#[async_trait]
impl Opened for MariadbSource {
    async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        self.unsafe_setting().await
    }

    async fn close(&self) {
        self.close().await;
    }
}

#[async_trait]
impl Opened for MongodbSource {
    async fn unsafe_setting(&self) -> Result<Option<String>, Failure> {
        self.unsafe_setting().await
    }

    async fn close(&self) {
        self.close().await;
    }
}

#[async_trait]
impl Opened for ElasticsearchSource {
    async fn close(&self) {
        self.close().await;
    }
}
