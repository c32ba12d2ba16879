use std::{io, sync::Arc, time::Duration};

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use parking_lot::RwLock;
use polylog_injection::Settings;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    OperatorArgs,
    context::Context,
    election::{Candidate, ElectionError, Leadership},
    entrance, event_store,
    health::Health,
    metrics::Metrics,
    namespaces::Namespaces,
    objects::Objects,
    pods::Pods,
    projection,
    scope::Scope,
    strategy, unknown,
    webhook::{Installation, Webhook},
};

/// As events name who tells them.
const CONTROLLER: &str = "polylog-operator";
/// How long reconciles that were begun may take at the end. A database's statement is not cut short sooner.
const DRAIN: Duration = Duration::from_secs(20);

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refuses something that every process needs, such as a port.
    #[error("{0}")]
    System(#[from] io::Error),
    /// It is not known where the API server is. Run it in a pod, or give a kubeconfig.
    #[error("no API server: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The API server cannot be used as configured.
    #[error("the API server cannot be used: {0}")]
    Client(#[from] kube::Error),
    /// This process may not be elected.
    #[error(transparent)]
    Election(#[from] ElectionError),
    /// Another process may lead now. Start again: it becomes a candidate.
    #[error("this process leads no longer")]
    LostLease,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// See [`RunError`]; a lost Lease is one too, after everything has ended.
pub async fn run(args: OperatorArgs) -> Result<(), RunError> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let config = kube::Config::infer().await?;
    let client = Client::try_from(config)?;
    run_until(args, client, stop).await
}

/// Runs with a client until `stop` is cancelled.
pub(crate) async fn run_until(
    args: OperatorArgs,
    client: Client,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::new());
    let ended = CancellationToken::new();
    let webhook = webhook(&args, &client, &metrics, ended.clone()).await?;
    let readiness = webhook.as_ref().map(Webhook::readiness);
    let health = Health::open(args.health_port, metrics.clone(), readiness, ended.clone()).await?;
    tracing::info!(event = "operator_started", health_port = health.address.port(), "the operator runs");
    let outcome = lead(&args, client, &metrics, &stop).await;
    ended.cancel();
    if let Some(webhook) = webhook {
        webhook.ended().await;
    }
    health.ended().await;
    match outcome {
        Err(RunError::Election(ElectionError::Stopped)) => Ok(()),
        outcome => outcome,
    }
}

/// The webhook, if there is to be one. It answers in every process, whether it leads or not.
async fn webhook(
    args: &OperatorArgs,
    client: &Client,
    metrics: &Metrics,
    stop: CancellationToken,
) -> io::Result<Option<Webhook>> {
    let Some(configuration) = &args.webhook.webhook else { return Ok(None) };
    let installation = Installation {
        namespace: args.namespace.clone(),
        watched: args.watch_namespaces.clone(),
        settings: Settings {
            image: args.sidecar_image.clone(),
            pull_policy: args.webhook.sidecar_pull_policy.clone(),
        },
        metrics: metrics.webhook.clone(),
    };
    let webhook = Webhook::start(configuration, &args.webhook, installation, client.clone(), stop).await?;
    tracing::info!(event = "webhook_started", port = webhook.address.port(), "the webhook's port is open");
    Ok(Some(webhook))
}

/// Waits to lead, then reconciles until told to stop or the Lease is lost; the Lease is given up after everything ended.
async fn lead(
    args: &OperatorArgs,
    client: Client,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let me = format!("{}_{}", args.pod, uuid::Uuid::new_v4());
    let candidate = Candidate::new(client.clone(), &args.namespace, &args.lease, me);
    let release = CancellationToken::new();
    let (leadership, keeper) = tokio::select! {
        elected = candidate.elected(release.clone()) => elected?,
        () = stop.cancelled() => return Ok(()),
    };
    metrics.leads(true);
    let rest = CancellationToken::new();
    let tracker = control(args, client, metrics.clone(), leadership.clone(), &rest);
    tokio::select! {
        () = stop.cancelled() => {}
        () = leadership.lost.cancelled() => {}
    }
    let was_lost = leadership.lost.is_cancelled();
    rest.cancel();
    if tokio::time::timeout(DRAIN, tracker.wait()).await.is_err() {
        tracing::warn!(event = "reconciles_left", "reconciles were still under way at the end");
    }
    metrics.leads(false);
    release.cancel();
    if let Err(error) = keeper.await {
        tracing::debug!(%error, "the keeper of the Lease ended");
    }
    if was_lost { Err(RunError::LostLease) } else { Ok(()) }
}

/// Starts every controller; each ends once `stop` is cancelled and what it had begun is done.
fn control(
    args: &OperatorArgs,
    client: Client,
    metrics: Arc<Metrics>,
    leadership: Leadership,
    stop: &CancellationToken,
) -> TaskTracker {
    let reporter = Reporter { controller: CONTROLLER.into(), instance: Some(args.pod.to_string()) };
    let (told, entrance) = watch::channel(entrance::Common::default());
    let context = Arc::new(Context {
        args: args.clone(),
        client: client.clone(),
        leadership,
        metrics,
        namespaces: Namespaces::new(args, client.clone()),
        objects: Objects::default(),
        entrance,
        pairs: entrance::Pairs::default(),
        pods: Pods::of(&Scope::of(&args.watch_namespaces)),
        recorder: Recorder::new(client.clone(), reporter),
        stores: RwLock::default(),
    });
    let tasks = TaskTracker::new();
    let (until, own, secret) = (stop.clone(), args.namespace.clone(), args.authority_secret.clone());
    let keeping = entrance::keep(client.clone(), own, secret, told);
    tasks.spawn(async move { until.run_until_cancelled(keeping).await });
    let (claims, until) = (context.clone(), stop.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = claims.namespaces.keep() => {}
            () = until.cancelled() => {}
        }
    });
    let scopes = Scope::of(&args.watch_namespaces).into_iter();
    let (pods, until) = (context.clone(), stop.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = unknown::tell(pods) => {}
            () = until.cancelled() => {}
        }
    });
    // each is known to the context before the first one reconciles
    let controllers: Vec<_> = scopes
        .map(|scope| {
            let (stores, reconciling) = event_store::control(context.clone(), scope.clone(), stop.clone());
            (scope, stores, reconciling)
        })
        .collect();
    for (scope, stores, reconciling) in controllers {
        let (pods, watched) = (context.clone(), scope.api(&client));
        let (until, of) = (stop.clone(), scope.clone());
        tasks.spawn(async move { pods.pods.follow(&of, watched, until).await });
        tasks.spawn(reconciling);
        tasks.spawn(strategy::control(context.clone(), scope.clone(), stores, stop.clone()));
        tasks.spawn(projection::control(context.clone(), scope, stop.clone()));
    }
    tasks.close();
    tasks
}

fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(event = "stopping", "asked to stop");
        stop.cancel();
    });
    Ok(())
}
