//! The task of one store: opens it, tries again while it cannot, and follows what is mounted for it.

use std::{sync::Arc, time::Duration};

use polylog_api::{Code, Problem};
use polylog_crds::resolve::{ResolvedSource, ResolvedStore};
use polylog_log::{Failure, LogId, SourceName};
use polylog_replication::{OpenError, Store, StoreOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ClusterRole,
    meaning::{Meaning, policy_of},
    stores::{Desired, Shared},
};
use crate::{
    config::{desired_config, policy_document, read_defaults},
    configuration::{Obstacle, Reason},
    forward::{Forward, InvalidTarget, Target},
    hosted::{DeclaredSource, Hosted, Waiting},
    mounted::GatewayFiles,
    operations::errors,
    policy::Access,
    server::Served,
    sources::{MountedDatabase, OpenSource, RotatingSource},
};

/// Pauses between tries: what may pass at any moment is tried often, what somebody has to change more seldom.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);
const LONGEST_REFUSED: Duration = Duration::from_secs(10);
/// A connection that takes longer will not come.
const OPEN: Duration = Duration::from_secs(20);
/// How long what was taken may go on when the store is no longer mounted.
const DRAIN: Duration = Duration::from_secs(30);
/// Why a source that the manifest declares holds no log.
const LATER: &str = "replication: not in this version";

/// Serves the store until it is told to stop.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut desired: watch::Receiver<Arc<Desired>>,
    stop: CancellationToken,
) {
    let name = desired.borrow().mounted.store.name.to_string();
    let mut task = Task { shared, name, open: None, forward: None, pause: SHORTEST };
    loop {
        let wanted = desired.borrow_and_update().clone();
        let step = async {
            match task.pursue(&wanted).await {
                Ok(()) => std::future::pending().await,
                Err(longest) => {
                    tokio::time::sleep(task.pause).await;
                    task.pause = (task.pause * 2).min(longest);
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            // a try under way is for what is no longer wanted; what it began is given up whole
            changed = desired.changed() => {
                if changed.is_err() {
                    break;
                }
                task.pause = SHORTEST;
            }
            () = step => {}
        }
    }
    task.end().await;
}

struct Task {
    shared: Arc<Shared>,
    name: String,
    open: Option<Open>,
    /// Where requests go on to, if that is how it is served.
    forward: Option<Arc<Forward>>,
    pause: Duration,
}

/// The store as it is open.
struct Open {
    store: Store,
    source_name: SourceName,
    source: OpenSource,
    rotating: Arc<RotatingSource>,
    database: MountedDatabase,
    /// What was brought into the log, or found there.
    meaning: Meaning,
    /// What callers were shown of the manifest beside the log.
    shown: Arc<Desired>,
}

/// Closes a connection that is not used in the end.
struct Unused<'a>(Option<OpenSource>, &'a Shared);

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if let Some(source) = self.0.take() {
            self.1.closing.spawn(async move { source.close().await });
        }
    }
}

/// What keeps a store from being opened, or its connection from being replaced.
struct Hindrance {
    problem: Problem,
    longest: Duration,
}

impl Hindrance {
    fn new(problem: Problem) -> Self {
        let longest = if problem.retry { LONGEST } else { LONGEST_REFUSED };
        Self { problem, longest }
    }
}

impl From<Failure> for Hindrance {
    fn from(failure: Failure) -> Self {
        let problem = errors::of_source(&failure);
        Self::new(match failure {
            Failure::NotProvisioned(_) => problem
                .next_step("have the store provisioned; it is tried again by itself")
                .retry_after(Duration::from_secs(1)),
            _ => problem,
        })
    }
}

impl From<OpenError> for Hindrance {
    fn from(error: OpenError) -> Self {
        let detail = error.to_string();
        Self::new(match error {
            OpenError::Source(failure) => return failure.into(),
            OpenError::NoPrimary => Problem::new(Code::NoPrimary, detail)
                .next_step("start the store's gateway, which opens the log; it is tried again by itself")
                .retry_after(Duration::from_secs(1)),
            OpenError::NotSupported { .. } => Problem::new(Code::InvalidConfiguration, detail)
                .next_step("change the strategy; it is read again by itself"),
            OpenError::Configure { error, .. } => errors::of_append(*error),
        })
    }
}

impl Task {
    /// Brings the store to what is wanted. On an error it is to be tried again, after pauses of up to what is returned.
    async fn pursue(&mut self, wanted: &Arc<Desired>) -> Result<(), Duration> {
        if wanted.mounted.by_gateway && self.shared.role == ClusterRole::Sidecar {
            return self.hand_on(wanted);
        }
        let database = self.database(wanted);
        let outcome = match (&mut self.open, database) {
            (_, Err(hindrance)) => Err(hindrance),
            (None, Ok((source, database))) => self.begin(wanted, source, database).await,
            (Some(open), Ok((source, database))) => {
                open.rotate(&self.shared, &self.name, source, database, wanted.mounted.log).await
            }
        };
        let reason = outcome.as_ref().err().map(|Hindrance { problem, .. }| Reason {
            code: problem.code.text(),
            message: problem.detail.clone(),
        });
        self.shared.note(&self.name, Obstacle::Connection, reason);
        match &outcome {
            // as long as there is no connection of its own, the gateway stays the way
            Err(hindrance) if self.open.is_none() && self.forward.is_none() => {
                self.wait(wanted, hindrance.problem.clone());
            }
            _ => {}
        }
        let follows = self.follow(wanted).await;
        match (outcome, follows) {
            (Ok(()), true) => Ok(()),
            (Ok(()), false) => Err(LONGEST),
            (Err(hindrance), _) => Err(hindrance.longest),
        }
    }

    /// Has requests go on to the store's gateway.
    fn hand_on(&mut self, wanted: &Desired) -> Result<(), Duration> {
        let forward = self.forward_of(wanted);
        let reason = forward
            .as_ref()
            .err()
            .map(|problem| Reason { code: problem.code.text(), message: problem.detail.clone() });
        self.shared.note(&self.name, Obstacle::Connection, reason);
        let forward = match forward {
            Ok(forward) => Arc::new(forward),
            Err(problem) => {
                if self.open.is_none() && self.forward.is_none() {
                    self.wait(wanted, problem);
                }
                return Err(LONGEST_REFUSED);
            }
        };
        self.shared.server.serve(&self.name, &Served::Forwarded(forward.clone()));
        let before = self.forward.replace(forward.clone());
        if before.is_none_or(|before| before.target() != forward.target()) {
            tracing::info!(
                event = "store_forwarded",
                store = self.name,
                gateway = forward.target().address(),
                "requests go on to the store's gateway"
            );
        }
        if let Some(open) = self.open.take() {
            self.shared.logs.lock().retain(|_, name| *name != self.name);
            self.shared.closing.spawn(open.close(self.name.clone()));
        }
        Ok(())
    }

    fn forward_of(&self, wanted: &Desired) -> Result<Forward, Problem> {
        let refused = |message: String| {
            Problem::new(Code::InvalidConfiguration, message)
                .next_step("have the operator publish where the gateway is; it is read again by itself")
        };
        let GatewayFiles { address, authority } = &wanted.gateway;
        let missing = |name: &str| refused(format!("delivery is Gateway, and store/{name} is not mounted"));
        let address = address.as_deref().ok_or_else(|| missing("gateway-address"))?;
        let authority = authority.as_deref().ok_or_else(|| missing("gateway-ca.crt"))?;
        let address = String::from_utf8_lossy(address);
        let of_target = |error: InvalidTarget| refused(error.to_string());
        let target = Target::new(&self.name, &address, authority).map_err(of_target)?;
        let known = self.forward.as_deref().filter(|known| *known.target() == target);
        let forward = match known {
            Some(known) => known.clone(),
            None => Forward::new(self.name.clone(), target, self.shared.token.clone()).map_err(of_target)?,
        };
        let store = &wanted.mounted.store;
        let policy = policy_document(store);
        let access = Access::new(&policy.namespace, policy.access.as_deref());
        Ok(forward.declared(policy.limits, declared_sources(store), access))
    }

    fn database(&self, wanted: &Desired) -> Result<(SourceName, MountedDatabase), Hindrance> {
        let refused = |message: String| {
            Hindrance::new(
                Problem::new(Code::InvalidConfiguration, message)
                    .next_step("correct what is mounted; it is read again by itself"),
            )
        };
        let store = &wanted.mounted.store;
        let first = store.first_primary().ok_or_else(|| refused("the store has no voter".into()))?;
        let files = wanted.sources.get(first.name.as_str()).cloned().unwrap_or_default();
        let most = self.shared.role.connections(wanted.mounted.gateway_pool);
        let database = MountedDatabase::of(first, &files, most).map_err(refused)?;
        Ok((SourceName::recorded(first.name.as_str()), database))
    }

    async fn begin(
        &mut self,
        wanted: &Arc<Desired>,
        source_name: SourceName,
        database: MountedDatabase,
    ) -> Result<(), Hindrance> {
        let (source, identity) = connect(&database, wanted.mounted.log).await?;
        let mut unused = Unused(Some(source.clone()), &self.shared);
        let other = self.shared.logs.lock().get(&identity.log).filter(|other| **other != self.name).cloned();
        if let Some(other) = other {
            let message = format!("store {other} of this process has the same log: give each its own schema");
            return Err(Failure::WrongStore(message).into());
        }
        let rotating = Arc::new(RotatingSource::new(source.shared(), self.shared.refresh.clone()));
        let metrics = &self.shared.server.metrics;
        let observed = metrics.observed(&self.name, &source_name, rotating.clone());
        let meaning = Meaning::of(&wanted.mounted.store);
        let options = StoreOptions {
            config: desired_config(&wanted.mounted.store),
            policy: self.shared.role.may_open().then(|| policy_of(&wanted.mounted.store)),
            // the manifest's are in the policy, which the log says
            limits: source.shared().limits(),
            ack_timeout: wanted.mounted.store.strategy.ack_timeout.as_std(),
            may_open: self.shared.role.may_open(),
            ..StoreOptions::new(&self.name, source_name.clone(), observed, identity)
        };
        let store = Store::open(options).await?;
        let hosted = hosted(&wanted.mounted.store, &store, &source_name)?;
        unused.0 = None;
        drop(unused);
        self.shared.logs.lock().insert(identity.log, self.name.clone());
        self.shared.server.serve(&self.name, &Served::Open(Arc::new(hosted)));
        tracing::info!(event = "store_opened", store = self.name, source = %source_name, log = %identity.log, "the store is open");
        let shown = wanted.clone();
        self.open = Some(Open { store, source_name, source, rotating, database, meaning, shown });
        self.forward = None;
        self.pause = SHORTEST;
        Ok(())
    }

    /// Takes over what needs no new connection. False: to be tried again.
    async fn follow(&mut self, wanted: &Arc<Desired>) -> bool {
        let Some(open) = &mut self.open else { return true };
        let store = &wanted.mounted.store;
        if open.shown.mounted.store != *store {
            open.store.set_ack_timeout(store.strategy.ack_timeout.as_std());
            match hosted(store, &open.store, &open.source_name) {
                Ok(hosted) => {
                    self.shared.server.serve(&self.name, &Served::Open(Arc::new(hosted)));
                    open.shown = wanted.clone();
                }
                Err(hindrance) => {
                    tracing::error!(
                        event = "policy_unreadable",
                        store = self.name,
                        reason = hindrance.problem.detail,
                        "the log's policy cannot be read"
                    );
                    return false;
                }
            }
        }
        if !self.shared.role.may_open() {
            return true;
        }
        let (reason, is_done) = open.meaning.follow(&open.store, store).await;
        self.shared.note(&self.name, Obstacle::Log, reason);
        is_done
    }

    fn wait(&self, wanted: &Desired, problem: Problem) {
        self.shared.server.serve(&self.name, &waiting(&wanted.mounted.store, problem));
    }

    async fn end(mut self) {
        self.shared.server.forget(&self.name);
        self.shared.server.configurations.forget(&self.name);
        self.shared.logs.lock().retain(|_, name| *name != self.name);
        if let Some(open) = self.open.take() {
            open.close(self.name).await;
        }
    }
}

impl Open {
    /// Finishes what was taken.
    async fn close(self, name: String) {
        if tokio::time::timeout(DRAIN, self.store.drain()).await.is_err() {
            tracing::warn!(
                event = "append_unanswered",
                store = name,
                "not everything that was taken could be answered in time"
            );
        }
        self.source.close().await;
    }

    /// Replaces the connection, if another one is wanted: the new one is opened and tried before the old one is given up.
    async fn rotate(
        &mut self,
        shared: &Shared,
        name: &str,
        source_name: SourceName,
        database: MountedDatabase,
        log: Option<LogId>,
    ) -> Result<(), Hindrance> {
        if source_name != self.source_name {
            let message = format!(
                "the log is kept in {}, and another primary needs replication, which is not in this version",
                self.source_name
            );
            let problem = Problem::new(Code::InvalidConfiguration, message);
            return Err(Hindrance::new(
                problem.next_step("put the source back in front of the strategy's order"),
            ));
        }
        let identity = self.store.identity();
        if log.is_some_and(|log| log != identity.log) {
            let message = format!("status.storeId names another log than {}, which is served", identity.log);
            return Err(Failure::WrongStore(message).into());
        }
        if database == self.database {
            return Ok(());
        }
        let (source, found) = connect(&database, log).await?;
        let mut unused = Unused(Some(source.clone()), shared);
        if found != identity {
            let message = format!(
                "log {}, database {}, incarnation {}; the store is in log {}, database {}, incarnation {}",
                found.log,
                found.database,
                found.incarnation,
                identity.log,
                identity.database,
                identity.incarnation
            );
            return Err(Failure::WrongStore(message).into());
        }
        unused.0 = None;
        self.rotating.replace(source.shared());
        let old = std::mem::replace(&mut self.source, source);
        self.database = database;
        shared.closing.spawn(async move { old.close().await });
        shared.server.metrics.configuration(name, "connection_replaced");
        tracing::info!(event = "connection_replaced", store = name, source = %self.source_name, "new database sessions use the connection that is mounted now");
        Ok(())
    }
}

async fn connect(
    database: &MountedDatabase,
    log: Option<LogId>,
) -> Result<(OpenSource, polylog_log::Identity), Hindrance> {
    let opened = tokio::time::timeout(OPEN, database.open()).await;
    let (source, identity) = opened.unwrap_or(Err(Failure::Timeout(OPEN)))?;
    if let Some(log) = log.filter(|log| *log != identity.log) {
        source.close().await;
        let message = format!("log {}, and status.storeId of the manifest names {log}", identity.log);
        return Err(Failure::WrongStore(message).into());
    }
    Ok((source, identity))
}

fn hosted(declared: &ResolvedStore, store: &Store, kept: &SourceName) -> Result<Hosted, Hindrance> {
    let sources = declared.sources.iter().map(|source| declared_source(source, Some(kept))).collect();
    let hosted =
        Hosted::new(declared.namespace.to_string(), declared.name.to_string(), store.clone(), sources);
    let hosted = hosted.map_err(|error| {
        Hindrance::new(
            Problem::new(Code::SidecarTooOld, error)
                .next_step("update the sidecar, or have the gateway write a policy that this version reads"),
        )
    })?;
    Ok(hosted.with_reads(read_defaults(declared)))
}

/// The store before anything was tried.
pub(super) fn not_tried(store: &ResolvedStore) -> Served {
    let problem = Problem::new(Code::SourceUnavailable, "the store is being opened")
        .next_step("try again")
        .retry_after(Duration::from_secs(1));
    waiting(store, problem)
}

fn waiting(store: &ResolvedStore, problem: Problem) -> Served {
    let policy = policy_document(store);
    Served::Waiting(Arc::new(Waiting {
        name: store.name.to_string(),
        sources: declared_sources(store),
        access: Some(Arc::new(Access::new(&policy.namespace, policy.access.as_deref()))),
        problem,
    }))
}

/// Its sources, as long as none of them is open here.
fn declared_sources(store: &ResolvedStore) -> Vec<DeclaredSource> {
    let kept = store.first_primary().map(|source| SourceName::recorded(source.name.as_str()));
    store.sources.iter().map(|source| declared_source(source, kept.as_ref())).collect()
}

fn declared_source(source: &ResolvedSource, kept: Option<&SourceName>) -> DeclaredSource {
    let name = SourceName::recorded(source.name.as_str());
    let is_kept = kept == Some(&name);
    DeclaredSource {
        name,
        engine: source.engine.field().into(),
        role: format!("{:?}", source.role),
        unprovisioned: (!is_kept).then(|| LATER.into()),
        remark: None,
    }
}
