mod opening;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

use polylog_crds::validate::Capabilities;
use polylog_log::Failure;
use polylog_replication::OpenError;
use tokio::task::JoinSet;

use self::opening::Opening;
pub(super) use self::opening::{Opened, OpenedSource};

use super::{Exit, banner, signals::Signals};
use crate::{
    config::{self, ConfigError, DevArgs},
    http::{BindError, Bounds},
    identity::Subject,
    metrics::Metrics,
    policy::PolicyError,
    running::Running,
    server::Server,
    sources::{self, LastSeen, SourceError},
};

/// How long a stop may take; a container gets at least this from its cluster.
const PATIENCE: Duration = Duration::from_secs(9);

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
    let opening = Opening { args: &args, data, declared: &declared, metrics: &metrics };
    for store in &declared.stores {
        opened.push(opening.open(store, &mut logs).await?);
    }
    let mut hosted = Vec::new();
    let mut kept = Vec::new();
    let mut seen = JoinSet::new();
    let mut shown = banner::Banner::default();
    for Opened { hosted: store, sources, folder } in opened {
        shown.store(&store, &sources);
        seen.spawn(LastSeen::of(&folder).keep(store.store.clone()));
        kept.push((sources, folder, store.store.clone()));
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
    for (sources, folder, store) in kept {
        LastSeen::of(&folder).write(store.tail());
        // its tasks end with it
        drop(store);
        for source in sources {
            source.connection.close().await;
        }
    }
    Ok(())
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
