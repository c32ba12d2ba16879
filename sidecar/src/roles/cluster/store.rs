//! The task of one store: opens it, tries again while it cannot, and follows what is mounted for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::MutexGuard;
use polylog_api::{Code, Problem};
use polylog_crds::{
    event_store::SourceState,
    resolve::{ResolvedSource, ResolvedStore},
};
use polylog_log::{Config, Failure, LogId, SourceName};
use polylog_replication::{Leadership, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ClusterRole,
    hindrance::{Hindrance, LONGEST, LONGEST_REFUSED},
    meaning::{Meaning, policy_of},
    members::{Members, Place, Rotated, places},
    opening::{Opening, config_for, learners},
    stores::{Desired, Shared},
};
use crate::{
    config::{opens_minority, policy_document, primary_wish, read_defaults},
    configuration::{Obstacle, Reason},
    forward::{Forward, InvalidTarget, Target},
    hosted::{DeclaredSource, Hosted, Waiting},
    mounted::GatewayFiles,
    pipeline::check_routes,
    policy::Access,
    server::Served,
};

/// The shortest pause between tries.
const SHORTEST: Duration = Duration::from_millis(250);
/// How long what was taken may go on when the store is no longer mounted.
const DRAIN: Duration = Duration::from_secs(30);
/// Why a source that the manifest declares holds no log: the operator has not added it to it.
const NOT_YET: &str = "it is not part of the log yet";

/// Serves the store until it is told to stop.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut desired: watch::Receiver<Arc<Desired>>,
    stop: CancellationToken,
) {
    let name = desired.borrow().mounted.store.name.to_string();
    let mut task = Task { shared, name, open: None, opening: None, forward: None, pause: SHORTEST };
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
    /// Until then.
    opening: Option<Opening>,
    /// Where requests go on to, if that is how it is served.
    forward: Option<Arc<Forward>>,
    pause: Duration,
}

/// The store as it is open.
struct Open {
    store: Store,
    members: Members,
    /// What was brought into the log, or found there.
    meaning: Meaning,
    /// What callers were shown of the manifest beside the log.
    shown: Arc<Desired>,
    /// Sources that do not vote yet.
    learners: Vec<SourceName>,
}

impl Task {
    /// Brings the store to what is wanted. On an error it is to be tried again, after pauses of up to what is returned.
    async fn pursue(&mut self, wanted: &Arc<Desired>) -> Result<(), Duration> {
        // what is mounted now may be meant to end what the one before it waits for
        if self.opening.as_ref().is_some_and(|opening| !Arc::ptr_eq(&opening.wanted, wanted)) {
            self.opening = None;
        }
        if wanted.mounted.by_gateway && self.shared.role == ClusterRole::Sidecar {
            return self.hand_on(wanted);
        }
        let outcome = match places(wanted, self.shared.role.connections(wanted.mounted.gateway_pool)) {
            Err(hindrance) => Err(hindrance),
            Ok(places) if self.open.is_none() => self.begin(wanted, &places).await,
            Ok(places) => self.keep(wanted, &places).await,
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
            (Ok(false), None) => Ok(()),
            (Ok(false), Some(again)) => Err(again),
            (Ok(true), _) => Err(LONGEST),
            (Err(hindrance), _) => Err(hindrance.longest),
        }
    }

    /// Has requests go on to the store's gateway.
    fn hand_on(&mut self, wanted: &Arc<Desired>) -> Result<(), Duration> {
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
        self.opening = None;
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

    /// Opens the store; true where one of its sources is to be tried again.
    async fn begin(&mut self, wanted: &Arc<Desired>, places: &[Place]) -> Result<bool, Hindrance> {
        let shared = self.shared.clone();
        let begun = self.opening.as_mut().filter(|begun| Arc::ptr_eq(&begun.wanted, wanted));
        let opening = match begun {
            Some(begun) => begun,
            None => {
                let members =
                    Members::joined(places, wanted.mounted.log, None, &shared.refresh, &shared.closing)
                        .await?;
                drop(self.alone_with(members.log())?);
                let opening = Opening::begin(&shared, wanted, members).await?;
                let leadership = opening.unopened.leadership();
                if self.forward.is_none() {
                    self.serve_waiting(wanted, being_opened(), leadership);
                }
                self.opening.insert(opening)
            }
        };
        let Opening { unopened, members, .. } = opening;
        let rotating = async {
            // the sources themselves say what is wrong with them, as long as it is not open
            drop(members.rotate(places, &self.name, &shared.server.metrics).await);
            std::future::pending::<()>().await;
        };
        let store = tokio::select! {
            store = unopened.open() => store?,
            () = rotating => return Ok(true),
        };
        let kept = hosted(&wanted.mounted.store, &store, &members.names())?;
        let Some(opening) = self.opening.take() else { return Ok(true) };
        let log = opening.members.log();
        // two may have waited for the same one
        self.alone_with(log)?.insert(log, self.name.clone());
        let open = Open::of(opening, store);
        shared.server.serve(&self.name, &Served::Open(Arc::new(kept)));
        let source = open.members.names().first().map(ToString::to_string).unwrap_or_default();
        tracing::info!(event = "store_opened", store = self.name, source, log = %log, "the store is open");
        let has_away = open.members.has_away() || open.members.lack(places);
        self.open = Some(open);
        self.forward = None;
        self.pause = SHORTEST;
        Ok(has_away)
    }

    /// The logs that are served, unless another store of this process has this one.
    fn alone_with(&self, log: LogId) -> Result<MutexGuard<'_, BTreeMap<LogId, String>>, Hindrance> {
        let logs = self.shared.logs.lock();
        match logs.get(&log).filter(|other| **other != self.name) {
            None => Ok(logs),
            Some(other) => {
                let message =
                    format!("store {other} of this process has the same log: give each its own schema");
                Err(Failure::WrongStore(message).into())
            }
        }
    }

    /// Follows what is mounted for the sources of an open store; true where one of them is to be tried again.
    async fn keep(&mut self, wanted: &Arc<Desired>, places: &[Place]) -> Result<bool, Hindrance> {
        let Some(open) = &self.open else { return Ok(false) };
        let log = open.members.log();
        if let Some(other) = wanted.mounted.log.filter(|other| *other != log) {
            let message = format!("status.storeId names another log, {other}, than {log}, which is served");
            return Err(Failure::WrongStore(message).into());
        }
        let metrics = &self.shared.server.metrics;
        let Rotated { hindrance, is_away } = open.members.rotate(places, &self.name, metrics).await;
        // who votes is said by the log; the gateway brings it there
        let learners = learners(wanted, &open.members);
        let is_changed = self.shared.role.may_open() && learners != open.learners;
        let gone = open.members.not_in(places);
        if open.members.lack(places) || is_changed || !gone.is_empty() {
            let config = open.store.status().await.config;
            check_gone(&gone, &config)?;
            let before = Some((&open.members, config));
            let (refresh, closing) = (&self.shared.refresh, &self.shared.closing);
            let members = Members::joined(places, wanted.mounted.log, before, refresh, closing).await?;
            let mut opening = Opening::begin(&self.shared, wanted, members).await?;
            let store = opening.unopened.open().await?;
            let hosted = hosted(&wanted.mounted.store, &store, &opening.members.names())?;
            let opened = Open::of(opening, store);
            self.shared.server.serve(&self.name, &Served::Open(Arc::new(hosted)));
            tracing::info!(
                event = "sources_changed",
                store = self.name,
                sources = opened.members.names().len(),
                voters = opened.members.names().len() - opened.learners.len(),
                "the log's sources are those that are mounted now"
            );
            if let Some(before) = self.open.replace(opened) {
                let name = self.name.clone();
                self.shared.closing.spawn(async move { drain(&before.store, &name).await });
            }
        }
        match hindrance {
            Some(hindrance) => Err(hindrance),
            None => Ok(is_away),
        }
    }

    /// Takes over what needs no new connection. How seldom it may be tried again, if it is to be.
    async fn follow(&mut self, wanted: &Arc<Desired>) -> Option<Duration> {
        let Some(open) = &mut self.open else { return None };
        let store = &wanted.mounted.store;
        if open.shown.mounted.store != *store {
            open.store.set_ack_timeout(store.strategy.ack_timeout.as_std());
            let strategy = &store.strategy;
            open.store.set_failover(strategy.failover.after.as_std(), opens_minority(strategy)).await;
            open.store.want_primary(primary_wish(store)).await;
            match hosted(store, &open.store, &open.members.names()) {
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
                    return Some(LONGEST);
                }
            }
        }
        if !self.shared.role.may_open() {
            return None;
        }
        let config = config_for(store, open.members.names().len() - open.learners.len());
        if let Err(message) = check_routes(&config.routes) {
            let code = Code::InvalidConfiguration.text();
            self.shared.note(&self.name, Obstacle::Log, Some(Reason { code, message }));
            return None;
        }
        let (reason, again) = open.meaning.follow(&open.store, config, policy_of(store)).await;
        self.shared.note(&self.name, Obstacle::Log, reason);
        again
    }

    /// Has what keeps the store from being open answered.
    fn wait(&self, wanted: &Arc<Desired>, problem: Problem) {
        let begun = self.opening.as_ref().filter(|begun| Arc::ptr_eq(&begun.wanted, wanted));
        self.serve_waiting(wanted, problem, begun.and_then(|begun| begun.unopened.leadership()));
    }

    fn serve_waiting(&self, wanted: &Desired, problem: Problem, leadership: Option<Leadership>) {
        let served = waiting(&wanted.mounted.store, problem, leadership);
        self.shared.server.serve(&self.name, &served);
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
    fn of(opening: Opening, store: Store) -> Self {
        let Opening { members, meaning, wanted, learners, .. } = opening;
        Self { store, members, meaning, shown: wanted, learners }
    }

    /// Finishes what was taken.
    async fn close(self, name: String) {
        drain(&self.store, &name).await;
        self.members.close().await;
    }
}

async fn drain(log: &Store, store: &str) {
    if tokio::time::timeout(DRAIN, log.drain()).await.is_err() {
        tracing::warn!(
            event = "append_unanswered",
            store,
            "not everything that was taken could be answered in time"
        );
    }
}

/// A source is taken away once it votes no more: until then it may be the primary, or hold what no other has.
fn check_gone(gone: &[SourceName], config: &Config) -> Result<(), Hindrance> {
    let votes = |name: &&SourceName| config.voters.iter().any(|voter| voter.name == **name);
    let Some(voter) = gone.iter().find(votes) else { return Ok(()) };
    let message = format!("source {voter} votes, and what is mounted lacks it: it leaves a log in two steps");
    let problem = Problem::new(Code::InvalidConfiguration, message);
    Err(Hindrance::new(
        problem.next_step("put it back with state: Draining, and remove it once its role is Learner"),
    ))
}

fn hosted(declared: &ResolvedStore, store: &Store, kept: &[SourceName]) -> Result<Hosted, Hindrance> {
    let sources = declared.sources.iter().map(|source| declared_source(source, kept)).collect();
    let hosted =
        Hosted::new(declared.namespace.to_string(), declared.name.to_string(), store.clone(), sources);
    let hosted = hosted.map_err(|error| {
        Hindrance::new(
            Problem::new(Code::SidecarTooOld, error)
                .next_step("update the sidecar, or have the gateway write a policy that this version reads"),
        )
    })?;
    Ok(hosted
        .with_reads(read_defaults(declared))
        .with_primary(primary_wish(declared))
        .with_alerts(declared.alerts))
}

/// The store before anything was tried.
pub(super) fn not_tried(store: &ResolvedStore) -> Served {
    waiting(store, being_opened(), None)
}

fn being_opened() -> Problem {
    Problem::new(Code::SourceUnavailable, "the store is being opened")
        .next_step("try again")
        .retry_after(Duration::from_secs(1))
}

fn waiting(store: &ResolvedStore, problem: Problem, leadership: Option<Leadership>) -> Served {
    let policy = policy_document(store);
    Served::Waiting(Arc::new(Waiting {
        name: store.name.to_string(),
        sources: declared_sources(store),
        access: Some(Arc::new(Access::new(&policy.namespace, policy.access.as_deref()))),
        problem,
        leadership,
    }))
}

/// Its sources, as long as none of them is open here.
fn declared_sources(store: &ResolvedStore) -> Vec<DeclaredSource> {
    let kept = store.sources.iter().filter(|source| source.provisioned);
    let kept: Vec<_> = kept.map(|source| SourceName::recorded(source.name.as_str())).collect();
    store.sources.iter().map(|source| declared_source(source, &kept)).collect()
}

fn declared_source(source: &ResolvedSource, kept: &[SourceName]) -> DeclaredSource {
    let name = SourceName::recorded(source.name.as_str());
    let is_kept = kept.contains(&name);
    DeclaredSource {
        name,
        engine: source.engine.field().into(),
        role: format!("{:?}", source.role),
        unprovisioned: (!is_kept).then(|| NOT_YET.into()),
        remark: None,
        is_in_maintenance: source.state == SourceState::Maintenance,
    }
}
