//! What the API promises over HTTP and gRPC, the same for every engine: a program of tests says where its logs are kept
//! (`new_home`).

mod appends;
mod cloud_events;
mod grpc_appends;
mod grpc_reads;
mod grpc_server;
mod grpc_subscriptions;
mod guards;
pub mod home;
mod openapi;
mod policies;
mod reads;
mod searches;
mod subscriptions;

use std::{collections::BTreeMap, time::Duration};

use polylog_log::{IndexOptions, Limits, SourceName};
use polylog_replication::{Store, StoreOptions};
use polylog_sidecar::{
    DeclaredSource, Hosted, Running, Server,
    http::Bounds,
    identity::Subject,
    metrics::Metrics,
    policy::PolicyDocument,
    sources::{self, StoreFolder, StorePlace},
};
use polylog_source_sqlite::provision::Approval;
use tempfile::TempDir;

use crate::{
    new_home,
    support::{Client, Remote},
};
use home::{Held, Home};

/// How a sidecar is set up.
pub struct Setup {
    pub policy: PolicyDocument,
    pub subject: Subject,
    pub bounds: Bounds,
    pub stores: Vec<&'static str>,
    pub default_store: Option<&'static str>,
    /// Indexes that are asked for once the log is provisioned.
    pub wanted: IndexOptions,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: policy(),
            subject: Subject::Local,
            bounds: Bounds::default(),
            stores: vec!["payments"],
            default_store: None,
            wanted: IndexOptions::default(),
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

/// A sidecar in this process, and its clients.
pub struct Sidecar {
    pub running: Running,
    pub client: Client,
    pub remote: Remote,
    kept: Kept,
    _folders: Vec<StoreFolder>,
}

/// What outlives a sidecar: its folder, and where each store's log is.
struct Kept {
    folder: TempDir,
    homes: BTreeMap<&'static str, Home>,
}

impl Sidecar {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        Self::over(Kept { folder: TempDir::new().unwrap(), homes: BTreeMap::new() }, setup).await
    }

    async fn over(mut kept: Kept, setup: Setup) -> Self {
        let metrics = Metrics::new();
        let mut hosted = Vec::new();
        let mut folders = Vec::new();
        for name in &setup.stores {
            let root = kept.folder.path().join(name);
            let database = kept.homes.entry(name).or_insert_with(|| new_home(&root)).database.clone();
            let declared = DeclaredSource {
                name: source_name(),
                engine: database.engine().into(),
                role: "Voter".into(),
                unprovisioned: None,
                remark: None,
                is_in_maintenance: false,
            };
            let place = StorePlace {
                source: source_name(),
                folder: root,
                database,
                indexes: IndexOptions::default(),
            };
            let (store, folder) = open(&place, name, &setup.policy, &metrics).await;
            let place = StorePlace { indexes: setup.wanted, ..place };
            let served = Hosted::new("shop".into(), (*name).into(), store, vec![declared]).unwrap();
            hosted.push(served.with_places(vec![place]));
            folders.push(folder);
        }
        let default = setup.default_store.map(Into::into);
        let server = Server::new(hosted, default, setup.subject, setup.bounds).with_metrics(metrics);
        let running = Running::start(server, 0, 0).await.unwrap();
        let client = Client::new(running.port());
        let remote = Remote::new(running.port());
        Self { running, client, remote, kept, _folders: folders }
    }

    /// Ends it, and starts it again over the same logs with another setup.
    pub async fn restart(self, setup: Setup) -> Self {
        let Self { running, kept, _folders, .. } = self;
        running.stop(Duration::from_secs(5)).await;
        drop(_folders);
        Self::over(kept, setup).await
    }

    /// Lets another program hold what an append needs of the log's database.
    pub fn hold_appends(&self) -> Held {
        self.kept.homes["payments"].hold_appends()
    }

    pub fn store(&self) -> Store {
        self.running.server().hosted("payments").unwrap().store.clone()
    }
}

fn source_name() -> SourceName {
    SourceName::recorded("ledger")
}

async fn open(
    place: &StorePlace,
    name: &str,
    policy: &PolicyDocument,
    metrics: &Metrics,
) -> (Store, StoreFolder) {
    let folder = StoreFolder::claim(place.folder.clone()).unwrap();
    let approval = Approval::up_to(polylog_log::StepClass::Slow);
    let provisioned = sources::provision(&folder, place, approval).await.unwrap();
    let source = metrics.observed(name, &source_name(), provisioned.source.shared());
    let mut options = StoreOptions::new(name, source_name(), source, provisioned.identity);
    options.policy = Some(serde_json::to_vec(policy).unwrap().into());
    options.limits = policy.limits;
    (Store::open(options).await.unwrap(), folder)
}
