mod opening;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use polylog_api::{Code, Problem};
use polylog_crds::validate::Capabilities;
use polylog_log::Failure;
use polylog_replication::OpenError;
use tokio::task::JoinSet;

pub(super) use self::opening::{Begun, OpenedSource};
use self::opening::{Opening, Start};

use super::{Exit, banner, signals::Signals};
use crate::{
    config::{self, ConfigError, DevArgs},
    http::{BindError, Bounds},
    identity::Subject,
    metrics::Metrics,
    operations::errors,
    policy::PolicyError,
    running::Running,
    server::{Served, Server},
    sources::{self, LastSeen, SourceError},
};

/// How long a stop may take; a container gets at least this from its cluster.
const PATIENCE: Duration = Duration::from_secs(9);
/// Between tries to open a store that nobody leads.
const OPENED_AGAIN: Duration = Duration::from_millis(250);

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
    let mut all = Vec::new();
    let mut logs = BTreeMap::new();
    let start = Start { args: &args, data, declared: &declared, metrics: &metrics };
    for store in &declared.stores {
        all.push(start.begin(store, &mut logs).await?);
    }
    let (mut hosted, mut waiting) = (Vec::new(), Vec::new());
    let mut kept = Vec::new();
    let mut tasks = JoinSet::new();
    let mut shown = banner::Banner::default();
    let only = all.first().map(|begun| begun.name.clone()).filter(|_| all.len() == 1);
    for mut begun in all {
        shown.store(&begun);
        match begun.opening.open().await {
            Ok(open) => {
                tasks.spawn(LastSeen::of(&begun.folder).keep(open.store.clone()));
                hosted.push(open);
            }
            Err(error) => {
                let problem = passing(&error).ok_or(error)?;
                shown.waits(&problem);
                waiting.push((begun.name.clone(), begun.opening, problem, LastSeen::of(&begun.folder)));
            }
        }
        kept.push((begun.name, begun.sources, begun.folder));
    }
    let subject = args.subject.clone().map_or(Subject::Local, Subject::ServiceAccount);
    let default_store = args.default_store.clone().or(only);
    let server = Server::new(hosted, default_store, subject, Bounds::default()).with_metrics(metrics);
    for (name, opening, problem, _) in &waiting {
        server.serve(name, &opening.waiting(problem.clone()));
    }
    let running = Running::start(server, args.port, args.health_port).await?;
    shown.print(&running);
    let server = running.server().clone();
    for (name, opening, _, seen) in waiting {
        tasks.spawn(serve_once_open(server.clone(), name, opening, seen));
    }
    signals.first().await;
    tracing::info!(event = "stopping", "stopping: new work is refused, what was taken is finished");
    tokio::select! {
        () = running.stop(PATIENCE) => {}
        () = signals.exit_at_next() => {}
    }
    tasks.shutdown().await;
    for (name, sources, folder) in kept {
        if let Some(hosted) = server.hosted(&name) {
            LastSeen::of(&folder).write(hosted.store.tail());
        }
        // its tasks end with it
        server.forget(&name);
        for source in sources {
            source.connection.close().await;
        }
    }
    Ok(())
}

/// What is answered for a store that is tried again, if this may pass: its sources are there, and none of them leads.
fn passing(error: &DevError) -> Option<Problem> {
    match error {
        DevError::Open { error: error @ OpenError::Leaderless { away }, .. } => {
            Some(errors::leaderless(error, away))
        }
        _ => None,
    }
}

/// Tries to open the store until it is, and serves it from then on.
async fn serve_once_open(server: Arc<Server>, name: String, mut opening: Opening, seen: LastSeen) {
    let hosted = loop {
        let problem = match opening.open().await {
            Ok(hosted) => break hosted,
            Err(error) => passing(&error).unwrap_or_else(|| {
                tracing::error!(event = "store_not_served", place = name, reason = %error, "a store is not served");
                Problem::new(Code::Internal, error).next_step("start again; it is tried again meanwhile")
            }),
        };
        server.serve(&name, &opening.waiting(problem));
        tokio::time::sleep(OPENED_AGAIN).await;
    };
    let store = hosted.store.clone();
    let source = store.status().await.primary.map(|primary| primary.to_string()).unwrap_or_default();
    tracing::info!(event = "store_opened", store = name, source, log = %store.identity().log, "the store is open");
    server.serve(&name, &Served::Open(Arc::new(hosted)));
    seen.keep(store).await;
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
