use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use kube::Client;
use polylog_crds::values::{NamespaceName, ObjectName};
use polylog_injection::{Settings, Stores};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    WebhookArgs, WebhookMetrics,
    review::Review,
    server::Server,
    stores::{self, Known},
};
use crate::certificates::{Keeper, Names, Serving};

/// The API server sends objects of up to 3 MiB, and says more about them.
const MOST_BYTES: usize = 8 << 20;
/// How long a pod's request waits for an EventStore that was applied with it. The API server waits for 5 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// The webhook with what it needs: its certificates, what is known of the EventStores, an open port.
#[derive(Debug)]
pub(crate) struct Webhook {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    readiness: Readiness,
    tasks: JoinSet<()>,
}

/// What an installation decides.
#[derive(Debug)]
pub(crate) struct Installation {
    /// The operator's own namespace.
    pub(crate) namespace: NamespaceName,
    /// The namespaces whose pods it serves; every one if there are none.
    pub(crate) watched: Vec<NamespaceName>,
    pub(crate) settings: Settings,
    pub(crate) metrics: WebhookMetrics,
}

/// Whether it can answer.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    serving: Serving,
    known: Known,
}

impl Readiness {
    /// What is missing, if it cannot answer yet.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        if !self.serving.is_there() {
            return Some("the webhook has no certificate yet");
        }
        self.known.borrow().is_none().then_some("the EventStores are not read yet")
    }
}

#[derive(Debug, Clone)]
struct Answering {
    known: Known,
    settings: Arc<Settings>,
    metrics: WebhookMetrics,
}

impl Webhook {
    /// Opens the port and begins to look after the certificates and the known stores, until `stop`.
    ///
    /// # Errors
    /// A port that cannot be had.
    pub(crate) async fn start(
        configuration: &ObjectName,
        args: &WebhookArgs,
        installation: Installation,
        client: Client,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let Installation { namespace, watched, settings, metrics } = installation;
        let serving = Serving::default();
        let server = Server::open(args.webhook_port, serving.clone()).await?;
        let address = server.address;
        let names = Names {
            namespace,
            secret: args.webhook_secret.clone(),
            configuration: configuration.clone(),
            service: args.webhook_service.clone(),
            hosts: args.webhook_hosts.clone(),
        };
        let keeper = Keeper::new(&client, names, args.lifetimes(), serving.clone());
        let (sender, known) = watch::channel(None);
        let answering = Answering { known: known.clone(), settings: Arc::new(settings), metrics };
        let mut tasks = JoinSet::new();
        let stopped = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = keeper.run() => {}
                () = stores::follow(&client, &watched, sender) => {}
                () = stopped.cancelled() => {}
            }
        });
        tasks.spawn(server.serve(router(answering), stop));
        Ok(Self { address, readiness: Readiness { serving, known }, tasks })
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Waits until everything has ended, after `stop`.
    pub(crate) async fn ended(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::debug!(%error, "a part of the webhook ended");
            }
        }
    }
}

fn router(answering: Answering) -> Router {
    Router::new()
        .route("/inject", post(review))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(answering)
}

async fn review(State(mut answering): State<Answering>, body: Bytes) -> Response {
    let begin = Instant::now();
    let (outcome, response) = answering.review(&body).await;
    answering.metrics.reviewed(outcome, begin.elapsed());
    response
}

impl Answering {
    async fn review(&mut self, body: &[u8]) -> (&'static str, Response) {
        let unintelligible =
            |error: String| ("unintelligible", (StatusCode::BAD_REQUEST, error).into_response());
        let review = match Review::read(body) {
            Ok(review) => review,
            Err(error) => return unintelligible(error.to_string()),
        };
        let Some(stores) = self.stores(&review).await else {
            let reason = "the EventStores are not read yet; try again";
            return ("not_ready", (StatusCode::SERVICE_UNAVAILABLE, reason).into_response());
        };
        match review.answer(&stores, &self.settings) {
            Ok(answered) => (answered.outcome, Json(answered).into_response()),
            Err(error) => unintelligible(error.to_string()),
        }
    }

    /// What is known, as soon as every store that the pod asks for is, but no later than after some patience: an
    /// EventStore is often applied together with its pods.
    async fn stores(&mut self, review: &Review) -> Option<Stores> {
        let wanted = review.wanted();
        let has_all = |stores: &Option<Stores>| {
            stores.as_ref().is_some_and(|stores| wanted.iter().all(|key| stores.get(key).is_some()))
        };
        // without an answer in time, or with the watch at its end, what is known now has to do
        let _ = tokio::time::timeout(PATIENCE, self.known.wait_for(has_all)).await;
        self.known.borrow().clone()
    }
}
