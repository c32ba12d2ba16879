//! The sources of a store's log, each through a connection that comes and goes with what is mounted for it.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use parking_lot::Mutex;
use polylog_log::{Config, Failure, Head, Identity, LogId, SourceName};
use polylog_replication::Replica;
use tokio_util::task::TaskTracker;

use super::{hindrance::Hindrance, stores::Desired};
use crate::{
    metrics::Metrics,
    mounted::{Membership, Refresh},
    sources::{AwaySource, Most, MountedDatabase, OpenSource, RotatingSource},
};

/// A connection that takes longer will not come.
const OPEN: Duration = Duration::from_secs(20);

/// Where a source of the log is, as it is mounted.
pub(super) struct Place {
    pub(super) name: SourceName,
    /// Or what is wrong with what is mounted: in a pod that is older than the source, there is nothing.
    database: Result<MountedDatabase, String>,
    known: Membership,
}

/// The places of the log's sources, the first primary first.
pub(super) fn places(wanted: &Desired, most: Most) -> Result<Vec<Place>, Hindrance> {
    let store = &wanted.mounted.store;
    let first = store.first_primary().ok_or_else(|| Hindrance::mounted("the store has no voter"))?;
    let others = store.sources.iter().filter(|source| source.provisioned && source.name != first.name);
    let place = |source: &polylog_crds::resolve::ResolvedSource| {
        let name = source.name.as_str();
        let files = wanted.sources.get(name).cloned().unwrap_or_default();
        Place {
            name: SourceName::recorded(name),
            database: MountedDatabase::of(store, source, &files, most),
            known: wanted.mounted.members.get(name).copied().unwrap_or_default(),
        }
    };
    Ok(std::iter::once(first).chain(others).map(place).collect())
}

/// One source of the log. Its connection is closed with it.
pub(super) struct Member {
    name: SourceName,
    identity: Identity,
    rotating: Arc<RotatingSource>,
    held: Mutex<Held>,
    closing: TaskTracker,
}

#[derive(Default)]
struct Held {
    open: Option<OpenSource>,
    /// What `open` was made of.
    database: Option<MountedDatabase>,
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(source) = self.held.get_mut().open.take() {
            self.closing.spawn(async move { source.close().await });
        }
    }
}

/// A connection that nobody has taken over yet; closed with this.
struct Fresh {
    source: Option<OpenSource>,
    head: Head,
    closing: TaskTracker,
}

impl Fresh {
    fn take(mut self) -> Option<OpenSource> {
        self.source.take()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            self.closing.spawn(async move { source.close().await });
        }
    }
}

async fn connect(database: &MountedDatabase, closing: &TaskTracker) -> Result<Fresh, Failure> {
    let opened = tokio::time::timeout(OPEN, database.open()).await;
    let (source, head) = opened.unwrap_or(Err(Failure::Timeout(OPEN)))?;
    Ok(Fresh { source: Some(source), head, closing: closing.clone() })
}

/// What a connection may be to, as far as that is known before.
#[derive(Clone, Copy)]
struct Expected {
    log: Option<LogId>,
    known: Membership,
}

impl Expected {
    fn check(self, found: Identity) -> Result<(), Failure> {
        if let Some(log) = self.log.filter(|log| *log != found.log) {
            let told = format!("log {}, and status.storeId of the manifest names {log}", found.log);
            return Err(Failure::WrongStore(told));
        }
        match self.known.database {
            Some(known) if known != (found.database, found.incarnation) => Err(Failure::WrongStore(format!(
                "database {}, incarnation {}, and the manifest names {}, {}",
                found.database, found.incarnation, known.0, known.1
            ))),
            _ => Ok(()),
        }
    }
}

/// All of them.
#[derive(Clone)]
pub(super) struct Members {
    /// The first primary first.
    all: Vec<Arc<Member>>,
}

/// What came of taking over what is mounted for sources that are known.
#[derive(Default)]
pub(super) struct Rotated {
    /// What somebody has to look at.
    pub(super) hindrance: Option<Hindrance>,
    /// One does not answer, and is to be tried again.
    pub(super) is_away: bool,
}

impl Members {
    /// Connects to the sources that are not among those `before`. One of several need not answer, as long as it is known
    /// which database it is: by the manifest, or by the log's configuration. At a start a log that was begun is opened
    /// without those that are not known.
    ///
    /// # Errors
    /// A source that holds the log alone does not answer; none does; one is unknown that is to join, or to begin the log.
    pub(super) async fn joined(
        places: &[Place],
        log: Option<LogId>,
        before: Option<(&Members, Arc<Config>)>,
        refresh: &Refresh,
        closing: &TaskTracker,
    ) -> Result<Self, Hindrance> {
        // under the same name there may be another database by now
        let known = |place: &Place| {
            let member = before.as_ref().and_then(|(members, _)| members.find(&place.name)).cloned();
            member.filter(|member| !place.is_other_than(member.identity))
        };
        let log = log.or(before.as_ref().map(|(members, _)| members.log()));
        let meet = |place: &Place| {
            let (is_known, database, known) = (known(place).is_some(), &place.database, place.known);
            let database = database.clone();
            async move {
                let connected = match database {
                    Ok(database) if !is_known => connect(&database, closing).await?,
                    Ok(_) => return Ok(None),
                    Err(message) => return Err(Met::Unusable(message)),
                };
                Expected { log, known }.check(connected.head.identity).map_err(Met::Failed)?;
                Ok(Some(connected))
            }
        };
        let met: Vec<Result<Option<Fresh>, Met>> = join_all(places.iter().map(meet)).await;
        let heads = met.iter().filter_map(|met| Some(&met.as_ref().ok()?.as_ref()?.head));
        let newest = heads.max_by_key(|head| (head.tail.term, head.tail.position));
        let log = log.or(newest.map(|head| head.identity.log));
        let config = newest.map(|head| head.config.config.clone());
        let config = config.filter(|config| config.version.0 > 0);
        let config = config.or(before.as_ref().map(|(_, config)| config.clone()));
        let is_alone = places.len() == 1;
        let is_nobody = newest.is_none() && before.is_none();
        let mut all: Vec<Arc<Member>> = Vec::new();
        for (place, met) in places.iter().zip(met) {
            if let Some(member) = known(place) {
                all.push(member);
                continue;
            }
            let (fresh, away) = match met {
                Ok(fresh) => (fresh, None),
                Err(met) if is_alone || is_nobody => return Err(met.hindrance()),
                Err(met) => (None, Some(met.failure())),
            };
            let identity = match (&fresh, log) {
                (Some(fresh), _) => Some(fresh.head.identity),
                (None, Some(log)) => place.known_as(log, config.as_deref()),
                (None, None) => None,
            };
            let Some(identity) = identity else {
                let away = away.unwrap_or_else(|| Failure::Unreachable("it does not answer".into()));
                if config.is_none() || before.is_some() {
                    return Err(away.into());
                }
                place.warn(&away);
                continue;
            };
            if let Some(log) = log.filter(|log| *log != identity.log) {
                let told = format!("source {} holds log {}, another one {log}", place.name, identity.log);
                return Err(Failure::WrongStore(told).into());
            }
            if let Some(other) = all.iter().find(|other| other.identity.database == identity.database) {
                let told = format!("source {} is the database of source {}", place.name, other.name);
                return Err(Failure::WrongStore(format!("{told}: give each its own")).into());
            }
            all.push(place.member(identity, fresh, away, refresh, closing));
        }
        Ok(Self { all })
    }

    fn find(&self, name: &SourceName) -> Option<&Arc<Member>> {
        self.all.iter().find(|member| member.name == *name)
    }

    pub(super) fn log(&self) -> LogId {
        // there is at least one
        self.all.first().map_or(LogId::new(uuid::Uuid::nil()), |member| member.identity.log)
    }

    pub(super) fn names(&self) -> Vec<SourceName> {
        self.all.iter().map(|member| member.name.clone()).collect()
    }

    /// Whether one is not reached.
    pub(super) fn has_away(&self) -> bool {
        self.all.iter().any(|member| member.held.lock().open.is_none())
    }

    /// Those that are not mounted any more.
    pub(super) fn not_in(&self, places: &[Place]) -> Vec<SourceName> {
        let is_gone = |name: &SourceName| places.iter().all(|place| place.name != *name);
        self.names().into_iter().filter(is_gone).collect()
    }

    /// Whether some are mounted that are not among them, or in another database.
    pub(super) fn lack(&self, places: &[Place]) -> bool {
        let is_there = |place: &Place| {
            self.find(&place.name).is_some_and(|member| !place.is_other_than(member.identity))
        };
        !places.iter().all(is_there)
    }

    /// The first primary, as it is reached.
    pub(super) fn first(&self) -> Option<Arc<RotatingSource>> {
        self.all.first().map(|member| member.rotating.clone())
    }

    /// For a store; each operation is counted.
    pub(super) fn replicas(&self, store: &str, metrics: &Metrics) -> Vec<Replica> {
        let replica = |member: &Arc<Member>| Replica {
            name: member.name.clone(),
            source: metrics.observed(store, &member.name, member.rotating.clone()),
            identity: member.identity,
        };
        self.all.iter().map(replica).collect()
    }

    /// Replaces connections, where others are mounted: the new one is opened and tried before the old one is given up.
    pub(super) async fn rotate(&self, places: &[Place], store: &str, metrics: &Metrics) -> Rotated {
        let is_alone = self.all.len() == 1;
        let one =
            |member: Arc<Member>, place| async move { member.rotate(place, is_alone, store, metrics).await };
        let pairs = places.iter().filter_map(|place| Some((self.find(&place.name)?.clone(), place)));
        // those get a new member
        let pairs = pairs.filter(|(member, place)| !place.is_other_than(member.identity));
        let mut all = Rotated::default();
        for one in join_all(pairs.map(|(member, place)| one(member, place))).await {
            all.is_away |= one.is_away;
            all.hindrance = all.hindrance.or(one.hindrance);
        }
        all
    }

    /// Ends every connection: what was handed to it is done first.
    pub(super) async fn close(&self) {
        let open: Vec<OpenSource> =
            self.all.iter().filter_map(|member| member.held.lock().open.take()).collect();
        join_all(open.iter().map(OpenSource::close)).await;
    }
}

/// Why a source is not there.
enum Met {
    Unusable(String),
    Failed(Failure),
}

impl From<Failure> for Met {
    fn from(failure: Failure) -> Self {
        Met::Failed(failure)
    }
}

impl Met {
    fn hindrance(self) -> Hindrance {
        match self {
            Met::Unusable(message) => Hindrance::mounted(message),
            Met::Failed(failure) => failure.into(),
        }
    }

    fn failure(self) -> Failure {
        match self {
            Met::Unusable(message) => not_mounted(&message),
            Met::Failed(failure) => failure,
        }
    }
}

fn not_mounted(message: &str) -> Failure {
    Failure::Unreachable(format!("{message}; restart the pod if the source is younger than the pod"))
}

impl Place {
    fn warn(&self, failure: &Failure) {
        tracing::warn!(
            event = "source_not_open", source = %self.name, error = %failure,
            "a source cannot be used now; it is tried again"
        );
    }

    /// Whether the operator says that the source is another database than this.
    fn is_other_than(&self, identity: Identity) -> bool {
        self.known.database.is_some_and(|known| known != (identity.database, identity.incarnation))
    }

    /// Which database it is, where it does not answer.
    fn known_as(&self, log: LogId, config: Option<&Config>) -> Option<Identity> {
        let of_log = || {
            let config = config?;
            let mut members = config.voters.iter().chain(&config.learners);
            let member = members.find(|member| member.name == self.name)?;
            Some((member.database, member.incarnation))
        };
        let (database, incarnation) = self.known.database.or_else(of_log)?;
        Some(Identity { log, database, incarnation })
    }

    fn member(
        &self,
        identity: Identity,
        fresh: Option<Fresh>,
        away: Option<Failure>,
        refresh: &Refresh,
        closing: &TaskTracker,
    ) -> Arc<Member> {
        let open = fresh.and_then(Fresh::take);
        let source = match &open {
            Some(source) => source.shared(),
            None => {
                let failure = away.unwrap_or_else(|| Failure::Unreachable("it does not answer".into()));
                self.warn(&failure);
                Arc::new(AwaySource(failure))
            }
        };
        Arc::new(Member {
            name: self.name.clone(),
            identity,
            rotating: Arc::new(RotatingSource::new(source, refresh.clone())),
            held: Mutex::new(Held { database: open.as_ref().and(self.database.clone().ok()), open }),
            closing: closing.clone(),
        })
    }
}

impl Member {
    async fn rotate(&self, place: &Place, is_alone: bool, store: &str, metrics: &Metrics) -> Rotated {
        let database = match &place.database {
            Ok(database) => database,
            // its last connection stays in use
            Err(message) => {
                return Rotated { hindrance: Some(Hindrance::mounted(message)), is_away: false };
            }
        };
        let (is_open, is_new) = {
            let held = self.held.lock();
            (held.open.is_some(), held.database.as_ref() != Some(database))
        };
        if is_open && !is_new {
            return Rotated::default();
        }
        let failed = |failure: Failure| {
            if !is_open {
                self.rotating.replace(Arc::new(AwaySource(failure.clone())));
            }
            // one of several that was away and still is says nothing of what is mounted
            let is_told =
                is_alone || is_open || !matches!(failure, Failure::Unreachable(_) | Failure::Timeout(_));
            Rotated { hindrance: is_told.then(|| failure.into()), is_away: true }
        };
        let fresh = match connect(database, &self.closing).await {
            Ok(fresh) => fresh,
            Err(failure) => return failed(failure),
        };
        let found = fresh.head.identity;
        if found != self.identity {
            let Identity { log, database, incarnation } = self.identity;
            return failed(Failure::WrongStore(format!(
                "log {}, database {}, incarnation {}; the store is in log {log}, database {database}, incarnation \
                 {incarnation}",
                found.log, found.database, found.incarnation
            )));
        }
        let Some(source) = fresh.take() else { return Rotated::default() };
        self.rotating.replace(source.shared());
        let before = {
            let mut held = self.held.lock();
            held.database = Some(database.clone());
            held.open.replace(source)
        };
        match before {
            Some(before) => {
                self.closing.spawn(async move { before.close().await });
                metrics.configuration(store, "connection_replaced");
                tracing::info!(event = "connection_replaced", store, source = %self.name, "new database sessions use the connection that is mounted now");
            }
            None => {
                tracing::info!(event = "source_open", store, source = %self.name, "a source that was away is reached");
            }
        }
        Rotated::default()
    }
}
