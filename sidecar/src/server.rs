use std::{collections::BTreeMap, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption};
use polylog_api::{Code, Problem};
use polylog_replication::SourceState;

use crate::{
    configuration::Configurations,
    drain::Drain,
    entrance::Entrance,
    forward::Forward,
    hosted::{Hosted, Waiting},
    http::{Bounds, Guard, Room, body},
    identity::{Peer, Subject, Workload},
    metrics::Metrics,
    sources::code_of,
};

/// What every request of a process shares.
pub struct Server {
    stores: ArcSwap<BTreeMap<String, Served>>,
    /// The store of the short path.
    default_store: ArcSwapOption<String>,
    /// Whoever calls on loopback.
    own: ArcSwap<Peer>,
    /// Which hosts and origins are answered.
    pub guard: Guard,
    /// Whether the process is about to stop.
    pub drain: Drain,
    /// What is counted.
    pub metrics: Metrics,
    /// What became of mounted configurations.
    pub(crate) configurations: Configurations,
    /// How other pods come in.
    pub(crate) entrance: Arc<Entrance>,
    readiness: Readiness,
    room: Room,
}

/// A store of this process.
#[derive(Clone)]
pub(crate) enum Served {
    /// It is open.
    Open(Arc<Hosted>),
    /// It cannot be opened yet.
    Waiting(Arc<Waiting>),
    /// It is reached through its gateway.
    Forwarded(Arc<Forward>),
}

/// What the process calls ready.
enum Readiness {
    /// Every store takes appends.
    Appends,
    /// The configuration was read and the ports are open, whatever the databases do: an application is not to go out of
    /// service because one of its databases does. Until then: why not.
    Configured(ArcSwapOption<String>),
}

impl Server {
    /// A server of these stores. With one store, or one named, the short path leads to it.
    pub fn new(stores: Vec<Hosted>, default_store: Option<String>, subject: Subject, bounds: Bounds) -> Self {
        let only = match &stores[..] {
            [only] => Some(only.name.clone()),
            _ => None,
        };
        let served = |hosted: Hosted| (hosted.name.clone(), Served::Open(Arc::new(hosted)));
        let server = Self::of(Readiness::Appends, Peer::always(subject, Workload::default()), bounds);
        server.default_store.store(default_store.or(only).map(Arc::new));
        server.stores.store(Arc::new(stores.into_iter().map(served).collect()));
        server
    }

    /// A server without stores, which are put in and taken out while it runs; not ready before it is configured.
    pub(crate) fn in_a_cluster(bounds: Bounds) -> Self {
        let reason = ArcSwapOption::from_pointee("the configuration is not read yet".to_owned());
        let nobody_yet = Peer::always(Subject::Local, Workload::default());
        Self::of(Readiness::Configured(reason), nobody_yet, bounds)
    }

    fn of(readiness: Readiness, own: Peer, bounds: Bounds) -> Self {
        Self {
            stores: ArcSwap::default(),
            default_store: ArcSwapOption::empty(),
            own: ArcSwap::from_pointee(own),
            guard: Guard::default(),
            drain: Drain::default(),
            metrics: Metrics::new(),
            configurations: Configurations::default(),
            entrance: Arc::default(),
            readiness,
            room: Room::new(bounds),
        }
    }

    /// The same, counting where others count already.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Whoever calls on loopback.
    pub(crate) fn own(&self) -> Arc<Peer> {
        self.own.load_full()
    }

    /// The store of the short path.
    pub fn default_store(&self) -> Option<String> {
        self.default_store.load().as_deref().cloned()
    }

    /// The store of this name, if it is open.
    pub fn hosted(&self, name: &str) -> Option<Arc<Hosted>> {
        match self.stores.load().get(name) {
            Some(Served::Open(hosted)) => Some(hosted.clone()),
            _ => None,
        }
    }

    /// Every store that is open.
    pub(crate) fn open_stores(&self) -> Vec<Arc<Hosted>> {
        let open = |served: &Served| match served {
            Served::Open(hosted) => Some(hosted.clone()),
            Served::Waiting(_) | Served::Forwarded(_) => None,
        };
        self.stores.load().values().filter_map(open).collect()
    }

    /// Every store that cannot be opened yet.
    pub(crate) fn waiting_stores(&self) -> Vec<Arc<Waiting>> {
        let waiting = |served: &Served| match served {
            Served::Waiting(waiting) => Some(waiting.clone()),
            Served::Open(_) | Served::Forwarded(_) => None,
        };
        self.stores.load().values().filter_map(waiting).collect()
    }

    /// Every store.
    pub(crate) fn served(&self) -> Arc<BTreeMap<String, Served>> {
        self.stores.load_full()
    }

    /// From now on this is what the name leads to.
    pub(crate) fn serve(&self, name: &str, served: &Served) {
        self.change_stores(|stores| {
            stores.insert(name.to_owned(), served.clone());
        });
    }

    /// From now on the name leads nowhere.
    pub(crate) fn forget(&self, name: &str) {
        self.change_stores(|stores| {
            stores.remove(name);
        });
    }

    fn change_stores(&self, change: impl Fn(&mut BTreeMap<String, Served>)) {
        self.stores.rcu(|stores| {
            let mut stores = BTreeMap::clone(stores);
            change(&mut stores);
            stores
        });
    }

    /// Takes over who calls on loopback, and the store of the short path.
    pub(crate) fn identify(&self, own: Peer, default_store: Option<String>) {
        self.own.store(Arc::new(own));
        self.default_store.store(default_store.map(Arc::new));
    }

    /// Says whether it is configured; `None` = it is.
    pub(crate) fn configured(&self, obstacle: Option<String>) {
        if let Readiness::Configured(reason) = &self.readiness {
            reason.store(obstacle.map(Arc::new));
        }
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// Whether the process does what it is there for, and no end is in sight; else why not.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        if self.drain.has_begun() {
            return Err("draining".into());
        }
        if let Readiness::Configured(obstacle) = &self.readiness {
            return obstacle.load().as_deref().map_or(Ok(()), |reason| Err(reason.clone()));
        }
        if let Some(waiting) = self.waiting_stores().first() {
            return Err(format!("{} is not open: {}", waiting.name, waiting.problem.code.text()));
        }
        for hosted in self.open_stores() {
            let status = hosted.store.status().await;
            if !status.sources.iter().any(|source| source.state == SourceState::Primary) {
                let failing = status.sources.iter().find_map(|source| match &source.state {
                    SourceState::Failing(failure) => Some(code_of(failure)),
                    SourceState::Primary
                    | SourceState::NotOpened
                    | SourceState::Level
                    | SourceState::Stalled(_)
                    | SourceState::Behind => None,
                });
                let why = failing.map(|code| format!(": {code}")).unwrap_or_default();
                return Err(format!("{} has no primary{why}", hosted.name));
            }
        }
        Ok(())
    }

    /// Most bytes of a message, before it is known which store it is for.
    pub(crate) fn largest_message(&self) -> usize {
        let largest = |hosted: Arc<Hosted>| body::largest(hosted.policy().limits);
        let forwarded = |served: &Served| match served {
            Served::Forwarded(forward) => Some(forward.largest),
            Served::Open(_) | Served::Waiting(_) => None,
        };
        let forwarded: Vec<usize> = self.stores.load().values().filter_map(forwarded).collect();
        let largest = self.open_stores().into_iter().map(largest).chain(forwarded).max();
        largest.unwrap_or_else(|| body::largest(polylog_log::Limits::default()))
    }

    /// The store of this name, or that of the short path, open or not.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<Served, Problem> {
        let default = self.default_store();
        let Some(name) = name.or(default.as_deref()) else {
            return Err(Problem::new(
                Code::StoreNotFound,
                "several stores are served here, and none is the default",
            )
            .next_step(format!("use /v1/stores/{{store}}/… with one of: {}", self.names())));
        };
        self.stores.load().get(name).cloned().ok_or_else(|| {
            let shown: String = name.chars().take(100).collect();
            Problem::new(Code::StoreNotFound, format_args!("no store {shown:?} is served here"))
                .next_step(format!("use one of: {}", self.names()))
        })
    }

    /// The gateway through which this store, or that of the short path, is reached, if it is.
    pub(crate) fn forwarded(&self, name: Option<&str>) -> Option<Arc<Forward>> {
        let default = self.default_store.load();
        let name = name.or(default.as_ref().map(|name| name.as_str()))?;
        match self.stores.load().get(name)? {
            Served::Forwarded(forward) => Some(forward.clone()),
            Served::Open(_) | Served::Waiting(_) => None,
        }
    }

    /// Whether any store is reached through its gateway.
    pub(crate) fn forwards(&self) -> bool {
        self.stores.load().values().any(|served| matches!(served, Served::Forwarded(_)))
    }

    /// The same, where it is open.
    pub(crate) fn store(&self, name: Option<&str>) -> Result<Arc<Hosted>, Problem> {
        match self.find(name)? {
            Served::Open(hosted) => Ok(hosted),
            Served::Waiting(waiting) => Err(waiting.problem.clone()),
            // it has become so since the request was looked at
            Served::Forwarded(forward) => Err(forward.unreachable("it is reached through its gateway now")),
        }
    }

    fn names(&self) -> String {
        self.stores.load().keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}
