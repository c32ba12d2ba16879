//! What the tests of this engine share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

use std::sync::LazyLock;

use polylog_log::{Applied, Approval, Desired, Failure, Identity, IndexOptions, SourceName, StepClass};
use polylog_source_elasticsearch::{
    Address, ElasticsearchConfig, ElasticsearchSource, Indices, Layout,
    provision::{self, Place},
};
pub(crate) use polylog_test_bed::acts::{append, commit, identity, lead};
use polylog_test_bed::{ElasticsearchServer, Product};

/// A server of each product; each is started when it is first needed, and shared by the tests of a binary.
static SERVERS: [LazyLock<ElasticsearchServer>; 2] = [
    LazyLock::new(|| ElasticsearchServer::start(Product::Elasticsearch)),
    LazyLock::new(|| ElasticsearchServer::start(Product::OpenSearch)),
];

pub(crate) fn server(product: Product) -> &'static ElasticsearchServer {
    match product {
        Product::Elasticsearch => &SERVERS[0],
        Product::OpenSearch => &SERVERS[1],
    }
}

/// One copy of each shard, for a server alone; events are searched as they are found on demand.
pub(crate) const LAYOUT: Layout = Layout {
    shards: 3,
    replicas: 0,
    refresh: Some(std::time::Duration::from_secs(30)),
    payload: polylog_source_elasticsearch::Payload::Flattened,
};

pub(crate) fn config(url: &str, prefix: &str, key: &str) -> ElasticsearchConfig {
    let indices = Indices::new(prefix, key).expect("good names");
    ElasticsearchConfig::new(Address::parse(url).expect("a good address"), indices)
}

/// Everything but destructive steps.
pub(crate) async fn provision(
    config: &ElasticsearchConfig,
    identity: Identity,
    source: SourceName,
) -> Result<Applied, Failure> {
    let place = Place { indices: config.indices.clone(), layout: LAYOUT, flavor: None };
    let desired = Desired { identity, source, indexes: IndexOptions::default() };
    let actual = provision::inspect(config, &place).await?;
    let plan = provision::plan(&desired, &place, &actual)?;
    provision::apply(config, &place, &plan, &Approval::up_to(StepClass::Additive)).await
}

/// A log on Elasticsearch, in indices that others use too, or in its own.
pub(crate) struct Store {
    pub(crate) prefix: String,
    pub(crate) key: String,
    pub(crate) url: String,
    pub(crate) identity: Identity,
}

impl Store {
    /// Provisioned and empty.
    pub(crate) async fn new() -> Self {
        Self::of(identity(1)).await
    }

    pub(crate) async fn of(identity: Identity) -> Self {
        Self::within("shared", identity).await
    }

    /// With indices of its own.
    pub(crate) async fn alone() -> Self {
        Self::within(&server(Product::Elasticsearch).new_name(), identity(1)).await
    }

    async fn within(prefix: &str, identity: Identity) -> Self {
        let server = server(Product::Elasticsearch);
        let store = Self { prefix: prefix.into(), key: server.new_name(), url: server.url(), identity };
        let source = SourceName::parse("main").expect("a good name");
        provision(&store.config(), identity, source).await.expect("provisioned indices");
        store
    }

    pub(crate) fn config(&self) -> ElasticsearchConfig {
        config(&self.url, &self.prefix, &self.key)
    }

    pub(crate) async fn open(&self) -> ElasticsearchSource {
        ElasticsearchSource::open(self.config()).await.expect("an open source")
    }

    /// Opened, and primary of term 1.
    pub(crate) async fn primary(&self) -> ElasticsearchSource {
        let source = self.open().await;
        lead(&source, &self.identity, 1).await;
        source
    }

    /// Changes settings of its indices.
    pub(crate) fn set(&self, settings: &str) {
        let path = format!("/{}-*/_settings", self.prefix);
        server(Product::Elasticsearch).request("PUT", &path, settings);
    }

    /// Whether the index of the events refuses writes.
    pub(crate) fn block_events(&self, is_blocked: bool) {
        let path = format!("/{}-events/_settings", self.prefix);
        let body = format!(r#"{{"index.blocks.write":{is_blocked}}}"#);
        server(Product::Elasticsearch).request("PUT", &path, &body);
    }
}
