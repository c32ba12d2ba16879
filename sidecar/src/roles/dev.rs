use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

use polylog_crds::{
    resolve::{ResolvedSource, ResolvedStore},
    validate::Capabilities,
};
use polylog_log::{Approval, Failure, LogId, Plan, SourceName, StepClass};
use polylog_replication::{OpenError, Store, StoreOptions};
use tokio::task::JoinSet;

use super::{Exit, banner, signals::Signals};
use crate::{
    config::{self, ConfigError, Declared, DevArgs, desired_config, policy_document, read_defaults},
    hosted::{DeclaredSource, Hosted},
    http::{BindError, Bounds},
    identity::Subject,
    metrics::Metrics,
    policy::PolicyError,
    running::Running,
    server::Server,
    sources::{self, Database, LastSeen, OpenSource, SourceError, StoreFolder, StorePlace},
};

/// How long a stop may take; a container gets at least this from its cluster.
const PATIENCE: Duration = Duration::from_secs(9);
/// Why a source that the manifest declares holds no log.
const LATER: &str = "replication: not in this version";

/// Why `polylog dev` did not start.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The manifests or arguments must be changed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store of the short path is none of the manifests'.
    #[error("--default-store: there is no store {0}")]
    DefaultStore(String),
    /// A file, folder or database cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Two stores lead to one log. Give each a place of its own.
    #[error("stores {0} and {1} lead to the same log: give each its own file or schema")]
    SameLog(String, String),
    /// The log cannot be opened.
    #[error("store {store}: {}", open_failed(error))]
    Open {
        /// The store.
        store: String,
        /// Why.
        error: OpenError,
    },
    /// The store's policy cannot be used.
    #[error("store {store}: {error}")]
    Policy {
        /// The store.
        store: String,
        /// Why.
        error: PolicyError,
    },
    /// A port cannot be listened on.
    #[error(transparent)]
    Port(#[from] BindError),
    /// The system refuses something that every process needs.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl Exit for DevError {
    fn exit_code(&self) -> ExitCode {
        match self {
            DevError::Config(_) | DevError::DefaultStore(_) | DevError::Policy { .. } => ExitCode::from(2),
            DevError::Open {
                error: OpenError::Source(Failure::Timeout(_) | Failure::Unreachable(_)),
                ..
            } => ExitCode::from(3),
            DevError::Source(error) if error.is_unreachable() => ExitCode::from(3),
            _ => ExitCode::from(1),
        }
    }
}

fn open_failed(error: &OpenError) -> String {
    match error {
        OpenError::Source(failure) => sources::told(failure),
        other => other.to_string(),
    }
}

/// One store that was opened, and what the banner says of it.
pub(super) struct Opened {
    pub(super) hosted: Hosted,
    pub(super) database: Database,
    pub(super) waiting: Plan,
    source: OpenSource,
    folder: StoreFolder,
}

/// Serves the stores of a folder of manifests until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting; every line says what to change. Nothing was appended then.
pub async fn run(args: DevArgs) -> Result<(), DevError> {
    let mut signals = Signals::new()?;
    let load = || config::load(&args.manifests, &args.sources, &Capabilities::DEV);
    let Some(declared) = config::load_apart(load)? else { return Ok(()) };
    if let Some(name) = &args.default_store
        && !declared.stores.iter().any(|store| store.name.as_str() == name)
    {
        return Err(DevError::DefaultStore(name.clone()));
    }
    banner::warnings(&declared.warnings);
    let temporary = if args.ephemeral { Some(Temporary::new()?) } else { None };
    let data = temporary.as_ref().map_or(&args.data, |folder| &folder.0);
    let metrics = Metrics::new();
    let mut opened = Vec::new();
    let mut logs = BTreeMap::new();
    for store in &declared.stores {
        opened.push(open(store, &args, data, &declared, &metrics, &mut logs).await?);
    }
    let mut hosted = Vec::new();
    let mut kept = Vec::new();
    let mut seen = JoinSet::new();
    let mut shown = banner::Banner::default();
    for Opened { hosted: store, database, waiting, source, folder } in opened {
        shown.store(&store, &database, &waiting);
        seen.spawn(LastSeen::of(&folder).keep(store.store.clone()));
        kept.push((source, folder, store.store.clone()));
        hosted.push(store);
    }
    let subject = args.subject.clone().map_or(Subject::Local, Subject::ServiceAccount);
    let server =
        Server::new(hosted, args.default_store.clone(), subject, Bounds::default()).with_metrics(metrics);
    let running = Running::start(server, args.port, args.health_port).await?;
    shown.print(&running);
    signals.first().await;
    tracing::info!(event = "stopping", "stopping: new work is refused, what was taken is finished");
    tokio::select! {
        () = running.stop(PATIENCE) => {}
        () = signals.exit_at_next() => {}
    }
    seen.shutdown().await;
    for (source, folder, store) in kept {
        LastSeen::of(&folder).write(store.tail());
        // its tasks end with it
        drop(store);
        source.close().await;
    }
    Ok(())
}

/// Opens a store; `logs` are those of the stores before it.
async fn open(
    store: &ResolvedStore,
    args: &DevArgs,
    data: &std::path::Path,
    declared: &Declared,
    metrics: &Metrics,
    logs: &mut BTreeMap<LogId, String>,
) -> Result<Opened, DevError> {
    let name = store.name.to_string();
    let place = StorePlace::of(store, data, &args.sources, &declared.databases, args.unsafe_durability)?;
    let folder = StoreFolder::claim(place.folder.clone())?;
    let approval = Approval::up_to(StepClass::Slow);
    let approval = match &args.approve {
        Some(hash) => approval.and_plan(hash),
        None => approval,
    };
    let provisioned = sources::provision(&folder, &place, approval).await?;
    if let Some(other) = logs.insert(provisioned.identity.log, name.clone()) {
        return Err(DevError::SameLog(other, name));
    }
    let source = provisioned.source;
    let observed = metrics.observed(&name, &place.source, source.shared());
    let failed = |error| DevError::Open { store: name.clone(), error: OpenError::Source(error) };
    LastSeen::of(&folder).check(&*source.shared()).await.map_err(failed)?;
    let unsafe_setting = source.unsafe_setting().await;
    let remark = unsafe_setting.map_err(failed)?.map(|setting| {
        tracing::warn!(
            event = "unsafe_durability", store = name,
            source = %place.source,
            setting,
            "unsafe durability: what is acknowledged may be lost"
        );
        format!("unsafe durability: {setting}, and what is acknowledged may be lost")
    });
    let policy = policy_document(store);
    let options = StoreOptions {
        config: desired_config(store),
        policy: Some(serde_json::to_vec(&policy).expect("a policy has only string keys").into()),
        limits: policy.limits,
        ack_timeout: store.strategy.ack_timeout.as_std(),
        ..StoreOptions::new(&name, place.source.clone(), observed, provisioned.identity)
    };
    let opened = Store::open(options).await.map_err(|error| DevError::Open { store: name.clone(), error })?;
    let sources = store.sources.iter().map(|source| declared_source(source, &place, &remark)).collect();
    let hosted = Hosted::new(store.namespace.to_string(), name.clone(), opened, sources)
        .map_err(|error| DevError::Policy { store: name, error })?
        .with_reads(read_defaults(store));
    Ok(Opened { hosted, database: place.database, waiting: provisioned.waiting, source, folder })
}

fn declared_source(source: &ResolvedSource, place: &StorePlace, remark: &Option<String>) -> DeclaredSource {
    let name = SourceName::recorded(source.name.as_str());
    let is_kept = name == place.source;
    DeclaredSource {
        name,
        engine: if is_kept { place.database.engine() } else { source.engine.field() }.into(),
        role: format!("{:?}", source.role),
        unprovisioned: (!is_kept).then(|| LATER.into()),
        remark: remark.clone().filter(|_| is_kept),
    }
}

/// A folder that is removed with this.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("polylog-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(event = "temporary_folder_stays", %error, folder = %self.0.display(), "the temporary folder stays");
        }
    }
}
