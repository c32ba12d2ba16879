//! The roles in a cluster: what they serve is mounted, and changes while they run.

mod elsewhere;
mod hindrance;
mod meaning;
mod members;
mod opening;
mod store;
mod stores;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use polylog_crds::{resolve::ResolvedSidecar, validate::Capabilities};
use polylog_replication::Duties;

pub use self::elsewhere::Elsewhere;
use self::stores::Stores;
use super::{Exit, signals::Signals};
use crate::{
    admin,
    config::{GATEWAY_POOL, SIDECAR_POOL},
    http::{BindError, Bounds, Door, Listeners, Serving},
    logging,
    mounted::{self, Reading, Watch},
    running::{ADMIN_CONNECTIONS, Running},
    server::Server,
    sources::Most,
};

/// The port of probes before a manifest says another.
const HEALTH_PORT: u16 = 7301;
/// The port of the gateway for other pods.
const PODS_PORT: u16 = 7300;
/// How long no gateway has shown that it lives before a sidecar does what is its to do.
const TAKES_OVER_AFTER: Duration = Duration::from_secs(30);
/// How often a gateway shows it.
const SHOWS_EVERY: Duration = Duration::from_secs(5);
/// How long a stop of the ports may take where nothing is under way.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A role that a process has in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterRole {
    /// Beside an application, in its pod: uses the logs that it finds.
    Sidecar,
    /// One Deployment per EventStore: opens its log, and brings `$config` and `$policy` to what is mounted.
    Gateway,
}

/// Arguments of the roles in a cluster.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterArgs {
    /// Folder of the mounted configuration: store/, sources/, stores/
    #[arg(long, value_name = "FOLDER", env = "POLYLOG_CONFIG", default_value = "/etc/polylog")]
    pub config: PathBuf,
    /// The pod's service account token
    #[arg(long, value_name = "FILE", env = "POLYLOG_TOKEN", default_value = "/var/run/polylog/token")]
    pub token: PathBuf,
    /// Stores of other namespaces, as injection writes them: a JSON list of name, address and authority of their gateways
    #[arg(long, value_name = "JSON", env = "POLYLOG_GATEWAYS", hide_env_values = true, default_value = "[]")]
    pub gateways: Elsewhere,
    /// Port of the API on 127.0.0.1 and ::1 instead of the manifest's; 0 = any free one
    #[arg(long)]
    pub port: Option<u16>,
    /// Port of /livez, /readyz and /metrics on every address instead of the manifest's; 0 = any free one
    #[arg(long)]
    pub health_port: Option<u16>,
}

/// Arguments of the role gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct GatewayArgs {
    /// What it has in common with a sidecar.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Port of the API for other pods, on every address; 0 = any free one. The same as --port: who is on loopback there
    /// needs no token
    #[arg(long, default_value_t = PODS_PORT)]
    pub pods_port: u16,
    /// Speak TLS with other pods, whatever the manifest says; without a mounted certificate nobody is let in
    #[arg(long)]
    pub pods_tls: bool,
}

/// Why a process in a cluster ended. What is wrong with its configuration does not end it: it waits for a better one.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A port cannot be listened on.
    #[error(transparent)]
    Port(#[from] BindError),
    /// The system refuses something that every process needs.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl Exit for ClusterError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(1)
    }
}

impl ClusterRole {
    fn capabilities(self) -> Capabilities {
        match self {
            ClusterRole::Sidecar => Capabilities::SIDECAR,
            ClusterRole::Gateway => Capabilities::GATEWAY,
        }
    }

    /// Whether it opens terms and writes `$config` and `$policy`.
    fn may_open(self) -> bool {
        self == ClusterRole::Gateway
    }

    /// Who elects, and copies to sources that fell behind: gateways; a sidecar while there is none.
    fn duties(self) -> Duties {
        match self {
            ClusterRole::Sidecar => Duties::OnceFree(TAKES_OVER_AFTER),
            ClusterRole::Gateway => Duties::Shown(SHOWS_EVERY),
        }
    }

    /// Connections to each source, where a gateway's manifest asks for `pool`.
    fn connections(self, pool: Option<u32>) -> Most {
        match self {
            ClusterRole::Sidecar => Most::AsDeclaredOr(SIDECAR_POOL),
            ClusterRole::Gateway => Most::Exactly(pool.unwrap_or(GATEWAY_POOL)),
        }
    }
}

/// Serves the mounted stores until SIGTERM or SIGINT.
///
/// # Errors
/// A port that cannot be had.
pub async fn sidecar(args: ClusterArgs) -> Result<(), ClusterError> {
    run(ClusterRole::Sidecar, args, None, false).await
}

/// The same, and for other pods on a port of its own.
///
/// # Errors
/// As [`sidecar`].
pub async fn gateway(args: GatewayArgs) -> Result<(), ClusterError> {
    run(ClusterRole::Gateway, args.cluster, Some(args.pods_port), args.pods_tls).await
}

async fn run(
    role: ClusterRole,
    args: ClusterArgs,
    pods_port: Option<u16>,
    pods_tls: bool,
) -> Result<(), ClusterError> {
    if mounted::answered(&role.capabilities())? {
        return Ok(());
    }
    let mut signals = Signals::new()?;
    let server = Arc::new(Server::in_a_cluster(Bounds::default()));
    let mut health = Health::open(&server, args.health_port.unwrap_or(HEALTH_PORT)).await?;
    let mut watch = Watch::start(args.config.clone(), args.token.clone()).await;
    let mut stores = Stores::new(role, server.clone(), watch.refresh.clone(), args.token.clone(), pods_tls);
    elsewhere::serve(&server, &args);
    let settings = loop {
        let reading = watch.seen.borrow_and_update().clone();
        if let Some(settings) = stores.take(&reading).await {
            break settings;
        }
        tokio::select! {
            _ = watch.seen.changed() => {}
            () = signals.first() => {
                health.serving.stop(AT_ONCE).await;
                return Ok(());
            }
        }
    };
    let wanted = args.health_port.unwrap_or(settings.health_port);
    if wanted != health.asked {
        health.serving.stop(AT_ONCE).await;
        health = Health::open(&server, wanted).await?;
    }
    let api_port = args.port.unwrap_or(settings.api_port);
    let (outward, pods_port) = listen(&server, api_port, pods_port).await?;
    let running = Running::join(server.clone(), outward, health.serving, health.port);
    stores.serving(Fixed {
        api_port: args.port.is_none().then_some(settings.api_port),
        health_port: args.health_port.is_none().then_some(settings.health_port),
    });
    server.configured(None);
    tracing::info!(event = "serving", role = ?role, port = running.port(), pods_port, health_port = running.health_port(), "serving");
    let drain = follow(&mut stores, &mut watch, settings, &mut signals).await;
    drop(watch);
    tracing::info!(event = "stopping", "stopping: new work is refused, what was taken is finished");
    let stopped = async {
        running.stop(drain).await;
        stores.stop(drain).await;
    };
    tokio::select! {
        () = stopped => {}
        () = signals.exit_at_next() => {}
    }
    Ok(())
}

/// Opens the API on loopback and, where other pods are to come in, on every address; says on which port they do.
async fn listen(
    server: &Server,
    api_port: u16,
    pods_port: Option<u16>,
) -> Result<(Listeners, Option<u16>), BindError> {
    let Some(pods_port) = pods_port else { return Ok((Listeners::loopback(api_port).await?, None)) };
    let entrance = server.entrance.clone();
    if pods_port == api_port && pods_port != 0 {
        // no system lets a socket on every address have a port that one on loopback has
        let both = Listeners::everywhere(pods_port).await?.through(&Door::Both(entrance));
        return Ok((both, Some(pods_port)));
    }
    let of_pods = Listeners::everywhere(pods_port).await?.through(&Door::Pods(entrance));
    let pods_port = of_pods.port();
    Ok((Listeners::loopback(api_port).await?.and(of_pods), Some(pods_port)))
}

/// Follows what is mounted until a signal comes; says how long what was taken may go on then.
async fn follow(
    stores: &mut Stores,
    watch: &mut Watch,
    mut settings: ResolvedSidecar,
    signals: &mut Signals,
) -> Duration {
    logging::set_level(settings.log_level);
    loop {
        tokio::select! {
            // the watch lives as long as this
            _ = watch.seen.changed() => {}
            () = signals.first() => return settings.drain.as_std(),
        }
        let reading: Arc<Reading> = watch.seen.borrow_and_update().clone();
        if let Some(new) = stores.take(&reading).await {
            logging::set_level(new.log_level);
            settings = new;
        }
    }
}

/// What takes effect only with a new process, where the manifest says it.
#[derive(Debug, Clone, Copy)]
struct Fixed {
    api_port: Option<u16>,
    health_port: Option<u16>,
}

/// The admin port.
struct Health {
    serving: Serving,
    asked: u16,
    port: u16,
}

impl Health {
    async fn open(server: &Arc<Server>, asked: u16) -> Result<Self, BindError> {
        let listeners = Listeners::everywhere(asked).await?;
        let port = listeners.port();
        Ok(Self { serving: listeners.serve(admin::service(server.clone()), ADMIN_CONNECTIONS), asked, port })
    }
}
