//! A sidecar in this process, over a SQLite file in a folder of its own, and a client of it.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub mod answers;
pub mod client;
pub mod forged;
pub mod mounted;
pub mod process;
pub mod remote;
pub mod replicas;
pub mod routing;
pub mod searching;
pub mod server;
pub mod three_engines;
pub mod tokens;
pub mod way;

use std::time::Duration;

use polylog_log::{Limits, SourceName};
use polylog_replication::{Store, StoreOptions};
use polylog_sidecar::{
    DeclaredSource, Hosted, Running, Server,
    http::Bounds,
    identity::Subject,
    metrics::Metrics,
    policy::PolicyDocument,
    sources::{self, Database, StoreFolder, StorePlace},
};
use polylog_source_sqlite::provision::Approval;
use tempfile::TempDir;

pub use client::Client;
pub use remote::Remote;

/// How a sidecar is set up.
pub struct Setup {
    pub policy: PolicyDocument,
    pub subject: Subject,
    pub bounds: Bounds,
    pub stores: Vec<&'static str>,
    pub default_store: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: policy(),
            subject: Subject::Local,
            bounds: Bounds::default(),
            stores: vec!["payments"],
            default_store: None,
        }
    }
}

/// A policy that forbids nothing.
pub fn policy() -> PolicyDocument {
    PolicyDocument {
        namespace: "shop".into(),
        access: None,
        validation: Default::default(),
        schemas: Default::default(),
        enrich: Vec::new(),
        redact: Vec::new(),
        limits: Limits::default(),
    }
}

/// A running sidecar and its folder.
pub struct Sidecar {
    pub running: Running,
    pub client: Client,
    pub remote: Remote,
    folder: TempDir,
    _folders: Vec<StoreFolder>,
}

impl Sidecar {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        Self::within(TempDir::new().unwrap(), setup).await
    }

    async fn within(folder: TempDir, setup: Setup) -> Self {
        let metrics = Metrics::new();
        let mut hosted = Vec::new();
        let mut folders = Vec::new();
        for name in &setup.stores {
            let (store, folder) = open(&folder, name, &setup.policy, &metrics).await;
            let declared = DeclaredSource {
                name: source_name(),
                engine: "sqlite".into(),
                role: "Voter".into(),
                unprovisioned: None,
                remark: None,
                is_in_maintenance: false,
            };
            hosted.push(Hosted::new("shop".into(), (*name).into(), store, vec![declared]).unwrap());
            folders.push(folder);
        }
        let default = setup.default_store.map(Into::into);
        let server = Server::new(hosted, default, setup.subject, setup.bounds).with_metrics(metrics);
        let running = Running::start(server, 0, 0).await.unwrap();
        let client = Client::new(running.port());
        let remote = Remote::new(running.port());
        Self { running, client, remote, folder, _folders: folders }
    }

    /// Ends it, and starts it again over the same files with another setup.
    pub async fn restart(self, setup: Setup) -> Self {
        let Self { running, folder, _folders, .. } = self;
        running.stop(Duration::from_secs(5)).await;
        drop(_folders);
        Self::within(folder, setup).await
    }

    /// The file that holds the log.
    pub fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("payments/ledger.db")
    }

    pub fn store(&self) -> Store {
        self.running.server().hosted("payments").unwrap().store.clone()
    }
}

fn source_name() -> SourceName {
    SourceName::recorded("ledger")
}

async fn open(
    folder: &TempDir,
    name: &str,
    policy: &PolicyDocument,
    metrics: &Metrics,
) -> (Store, StoreFolder) {
    let root = folder.path().join(name);
    let file = root.join("ledger.db");
    let place = StorePlace {
        source: source_name(),
        folder: root,
        database: Database::Sqlite(file),
        indexes: Default::default(),
    };
    let folder = StoreFolder::claim(place.folder.clone()).unwrap();
    let approval = Approval::up_to(polylog_log::StepClass::Slow);
    let provisioned = sources::provision(&folder, &place, approval).await.unwrap();
    let source = metrics.observed(name, &source_name(), provisioned.source.shared());
    let mut options = StoreOptions::new(name, source_name(), source, provisioned.identity);
    options.policy = Some(serde_json::to_vec(policy).unwrap().into());
    options.limits = policy.limits;
    (Store::open(options).await.unwrap(), folder)
}
