use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use polylog_api::{Code, Problem};
use polylog_crds::resolve::ResolvedSidecar;
use polylog_log::LogId;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{ClusterRole, Fixed, store};
use crate::{
    configuration::{Obstacle, Reason},
    hosted::Waiting,
    identity::{Peer, Subject},
    mounted::{
        Caller, GatewayFiles, Layout, ManifestFiles, Mounted, Place, Reading, Refresh, SourceFiles, read_all,
    },
    server::{Served, Server},
};

/// What a store is to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Desired {
    pub(super) mounted: Arc<Mounted>,
    /// By the source's name.
    pub(super) sources: BTreeMap<String, SourceFiles>,
    pub(super) gateway: GatewayFiles,
}

/// What the tasks of all stores share.
pub(super) struct Shared {
    pub(super) role: ClusterRole,
    pub(super) server: Arc<Server>,
    pub(super) refresh: Refresh,
    /// The pod's own token, for gateways.
    pub(super) token: PathBuf,
    /// Whether other pods come in over TLS, whatever the manifest says.
    pods_tls: bool,
    /// Which store serves a log: two that do would answer with each other's events.
    pub(super) logs: Mutex<BTreeMap<LogId, String>>,
    /// Connections that are being closed.
    pub(super) closing: TaskTracker,
}

impl Shared {
    /// Notes what is in the way of a store's configuration, and tells it once.
    pub(super) fn note(&self, store: &str, obstacle: Obstacle, reason: Option<Reason>) {
        if !self.server.configurations.note(store, obstacle, reason.clone()) {
            return;
        }
        match reason {
            Some(Reason { code, message }) => {
                self.server.metrics.configuration(store, code);
                match obstacle {
                    Obstacle::Manifests => {
                        tracing::error!(
                            event = "configuration_refused",
                            store,
                            code,
                            reason = message,
                            "a new configuration is refused, the old one stays"
                        );
                    }
                    Obstacle::Connection => {
                        tracing::error!(
                            event = "connection_unusable",
                            store,
                            code,
                            reason = message,
                            "the mounted connection cannot be used"
                        );
                    }
                    Obstacle::Entrance => {
                        tracing::error!(
                            event = "entrance_refused",
                            store,
                            code,
                            reason = message,
                            "mounted certificate or keys for other pods cannot be used, the old ones stay"
                        );
                    }
                    Obstacle::Log => {
                        tracing::warn!(
                            event = "log_not_as_mounted",
                            store,
                            code,
                            reason = message,
                            "the log is not what is mounted"
                        );
                    }
                    Obstacle::Restart => {
                        tracing::warn!(
                            event = "restart_needed",
                            store,
                            code,
                            reason = message,
                            "a part of the configuration needs a new process"
                        );
                    }
                }
            }
            None => tracing::info!(
                event = "obstacle_gone",
                store,
                "nothing is in the way of the mounted {} any more",
                match obstacle {
                    Obstacle::Manifests => "manifests",
                    Obstacle::Connection => "connection",
                    Obstacle::Entrance => "certificate and keys for other pods",
                    Obstacle::Log => "policy and strategy",
                    Obstacle::Restart => "ports",
                }
            ),
        }
    }
}

impl Shared {
    /// Takes over how other pods come in.
    ///
    /// # Errors
    /// Why nobody can come in at all.
    fn follow_entrance(&self, layout: &Layout, store: &str, desired: &Desired) -> Result<(), String> {
        let Some(own) = layout.stores.get(&Place::Own) else { return Ok(()) };
        let entrance = &self.server.entrance;
        let (taken, outcome) = entrance.follow(&own.entrance, self.pods_tls || desired.mounted.gateway_tls);
        if taken.transport || taken.keys {
            tracing::info!(
                event = "entrance_changed",
                store,
                certificate = taken.transport,
                keys = taken.keys,
                "what other pods come in by is what is mounted now"
            );
        }
        let is_ready = entrance.is_ready();
        let reason = outcome.err();
        self.note(store, Obstacle::Entrance, reason.clone().map(invalid));
        match reason {
            Some(reason) if !is_ready => Err(reason),
            _ => Ok(()),
        }
    }
}

/// The stores of a process, as they are mounted.
pub(super) struct Stores {
    shared: Arc<Shared>,
    /// What the manifests of each place said when they were read last.
    read: BTreeMap<Place, (ManifestFiles, Result<Arc<Mounted>, String>)>,
    running: BTreeMap<Place, Running>,
    /// Further stores that were never right: only their names are known.
    refused: BTreeSet<Place>,
    caller: Option<Caller>,
    fixed: Option<Fixed>,
    /// What keeps the process from being ready, as told last.
    told: Option<String>,
    stopping: TaskTracker,
}

struct Running {
    name: String,
    desired: watch::Sender<Arc<Desired>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Stores {
    pub(super) fn new(
        role: ClusterRole,
        server: Arc<Server>,
        refresh: Refresh,
        token: PathBuf,
        pods_tls: bool,
    ) -> Self {
        let shared = Shared {
            role,
            server,
            refresh,
            token,
            pods_tls,
            logs: Mutex::default(),
            closing: TaskTracker::new(),
        };
        Self {
            shared: Arc::new(shared),
            read: BTreeMap::new(),
            running: BTreeMap::new(),
            refused: BTreeSet::new(),
            caller: None,
            fixed: None,
            told: None,
            stopping: TaskTracker::new(),
        }
    }

    /// The ports are open: what they were opened by cannot change any more.
    pub(super) fn serving(&mut self, fixed: Fixed) {
        self.fixed = Some(fixed);
    }

    /// Takes over what was read. The settings of the process, once its own store is configured and it is known as whom
    /// it runs.
    pub(super) async fn take(&mut self, reading: &Reading) -> Option<ResolvedSidecar> {
        match &reading.caller {
            Ok(caller) => self.caller = Some(caller.clone()),
            // the pod stays the same pod
            Err(error) if self.caller.is_some() => {
                tracing::warn!(event = "token_unreadable", %error, "the token cannot be read")
            }
            Err(error) => self.tell(Code::Unauthenticated, &error.to_string()),
        }
        match &reading.layout {
            Ok(layout) => self.apply(layout).await,
            Err(error) => self.refuse_all(&error.to_string()),
        }
        let caller = self.caller.clone()?;
        let own = self.running.get(&Place::Own)?;
        let desired = own.desired.borrow().clone();
        if self.shared.role == ClusterRole::Gateway
            && let Ok(layout) = &reading.layout
            && let Err(reason) = self.shared.follow_entrance(layout, &own.name, &desired)
        {
            self.tell(Code::InvalidConfiguration, &reason);
            return None;
        }
        let Caller { account, workload } = caller;
        let peer = Peer::always(Subject::ServiceAccount(account), workload);
        self.shared.server.identify(peer, Some(own.name.clone()));
        self.told = None;
        Some(desired.mounted.store.sidecar)
    }

    /// Says why the process is not ready yet.
    fn tell(&mut self, code: Code, message: &str) {
        let line = format!("{code}: {message}");
        if self.told.as_ref() != Some(&line) {
            tracing::error!(
                event = "configuration_waited_for",
                code = code.text(),
                reason = message,
                "waiting for a configuration that can be served"
            );
            self.shared.server.configured(Some(line.clone()));
            self.told = Some(line);
        }
    }

    fn refuse_all(&mut self, message: &str) {
        if self.running.is_empty() {
            self.tell(Code::InvalidConfiguration, message);
        }
        for running in self.running.values() {
            self.shared.note(&running.name, Obstacle::Manifests, Some(invalid(message.to_owned())));
        }
    }

    async fn apply(&mut self, layout: &Layout) {
        self.read_changed(layout).await;
        let gone: Vec<Place> =
            self.running.keys().filter(|place| !layout.stores.contains_key(place)).cloned().collect();
        for place in gone {
            self.remove(&place);
        }
        let shared = self.shared.clone();
        self.refused.retain(|place| {
            let is_there = layout.stores.contains_key(place);
            if let Some(name) = place.store_name().filter(|_| !is_there) {
                shared.server.forget(name);
                shared.server.configurations.forget(name);
            }
            is_there
        });
        for (place, files) in &layout.stores {
            let said = match self.read.get(place) {
                Some((_, said)) => said.clone(),
                None => {
                    Err("the manifests could not be read; they are tried again with their next change".into())
                }
            };
            match said.and_then(|mounted| self.check(place, mounted)) {
                Ok(mounted) => {
                    let desired =
                        Desired { mounted, sources: files.sources.clone(), gateway: files.gateway.clone() };
                    self.set(place, Arc::new(desired));
                }
                Err(message) => self.refuse(place, &files.sources, message),
            }
        }
    }

    async fn read_changed(&mut self, layout: &Layout) {
        self.read.retain(|place, _| layout.stores.contains_key(place));
        let is_new = |(place, files): &(&Place, &crate::mounted::StoreFiles)| {
            self.read.get(*place).is_none_or(|(known, _)| *known != files.manifests)
        };
        let new: BTreeMap<Place, ManifestFiles> = layout
            .stores
            .iter()
            .filter(is_new)
            .map(|(place, files)| (place.clone(), files.manifests.clone()))
            .collect();
        for (place, said) in read_all(new.clone(), self.shared.role.capabilities()).await {
            let Some(files) = new.get(&place) else { continue };
            if let Ok(mounted) = &said {
                for warning in &mounted.warnings {
                    tracing::warn!(event = "manifest_warning", store = %mounted.store.name, "{warning}");
                }
            }
            self.read.insert(place, (files.clone(), said.map(Arc::new)));
        }
    }

    /// What stands against serving these manifests here, right as they are by themselves.
    fn check(&self, place: &Place, mounted: Arc<Mounted>) -> Result<Arc<Mounted>, String> {
        let name = mounted.store.name.as_str();
        if let Some(running) = self.running.get(place).filter(|running| running.name != name) {
            return Err(format!(
                "this process serves {} and cannot become one for {name}: start a new one",
                running.name
            ));
        }
        let mut others = self.running.iter().filter(|(other, _)| *other != place);
        if let Some((other, _)) = others.find(|(_, running)| running.name == name) {
            return Err(format!("{other} has a store {name} already: one process serves each name once"));
        }
        Ok(mounted)
    }

    fn set(&mut self, place: &Place, desired: Arc<Desired>) {
        let name = desired.mounted.store.name.to_string();
        self.refused.remove(place);
        self.shared.note(&name, Obstacle::Manifests, None);
        if *place == Place::Own {
            self.shared.note(&name, Obstacle::Restart, self.needs_restart(&desired.mounted.store.sidecar));
        }
        match self.running.get(place) {
            Some(running) => {
                let is_new = running.desired.send_if_modified(|known| {
                    let is_new = **known != *desired;
                    if is_new {
                        *known = desired;
                    }
                    is_new
                });
                if is_new {
                    self.shared.server.metrics.configuration(&name, "taken");
                    tracing::info!(
                        event = "configuration_mounted",
                        store = name,
                        "a new configuration is mounted"
                    );
                }
            }
            None => {
                // nobody is told that there is no such store while it is opened
                self.shared.server.serve(&name, &store::not_tried(&desired.mounted.store));
                let (sender, receiver) = watch::channel(desired);
                let stop = CancellationToken::new();
                let task = tokio::spawn(store::run(self.shared.clone(), receiver, stop.clone()));
                self.running.insert(place.clone(), Running { name, desired: sender, stop, task });
            }
        }
    }

    fn needs_restart(&self, settings: &ResolvedSidecar) -> Option<Reason> {
        let fixed = self.fixed?;
        let changed = [
            ("spec.sidecar.apiPort", fixed.api_port, settings.api_port),
            ("spec.sidecar.healthPort", fixed.health_port, settings.health_port),
        ];
        let changed = changed.into_iter().filter(|(_, fixed, now)| fixed.is_some_and(|fixed| fixed != *now));
        let fields: Vec<&str> = changed.map(|(field, ..)| field).collect();
        (!fields.is_empty()).then(|| Reason {
            code: "restart_needed",
            message: format!("{} takes effect with a new process: restart the pod", fields.join(" and ")),
        })
    }

    /// Refuses manifests. Credentials are taken all the same: the old ones may end any day.
    fn refuse(&mut self, place: &Place, sources: &BTreeMap<String, SourceFiles>, message: String) {
        if let Some(running) = self.running.get(place) {
            self.shared.note(&running.name, Obstacle::Manifests, Some(invalid(message)));
            running.desired.send_if_modified(|known| {
                let is_new = known.sources != *sources;
                if is_new {
                    let mounted = known.mounted.clone();
                    let gateway = known.gateway.clone();
                    *known = Arc::new(Desired { mounted, sources: sources.clone(), gateway });
                }
                is_new
            });
            return;
        }
        match place.store_name() {
            None => self.tell(Code::InvalidConfiguration, &message),
            Some(name) if self.running.values().any(|running| running.name == name) => {
                tracing::error!(event = "store_not_served", %place, reason = message, "a store is not served");
            }
            Some(name) => {
                let problem = Problem::new(Code::InvalidConfiguration, &message)
                    .next_step("correct the mounted manifests; they are read again by themselves");
                let waiting = Waiting {
                    name: name.into(),
                    sources: Vec::new(),
                    access: None,
                    problem,
                    leadership: None,
                };
                self.shared.server.serve(name, &Served::Waiting(Arc::new(waiting)));
                self.shared.note(name, Obstacle::Manifests, Some(invalid(message)));
                self.refused.insert(place.clone());
            }
        }
    }

    fn remove(&mut self, place: &Place) {
        let Some(Running { name, stop, task, .. }) = self.running.remove(place) else { return };
        tracing::info!(
            event = "store_removed",
            store = name,
            "no longer mounted: new work is refused, what was taken is finished"
        );
        stop.cancel();
        self.stopping.spawn(task);
    }

    /// Ends every store; what is not done after `patience` is cut off.
    pub(super) async fn stop(mut self, patience: Duration) {
        for (_, Running { stop, task, .. }) in std::mem::take(&mut self.running) {
            stop.cancel();
            self.stopping.spawn(task);
        }
        self.stopping.close();
        let ended = async {
            self.stopping.wait().await;
            self.shared.closing.close();
            self.shared.closing.wait().await;
        };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!(
                event = "connections_left",
                "not every connection to a database could be closed in time"
            );
        }
    }
}

pub(super) fn invalid(message: String) -> Reason {
    Reason { code: Code::InvalidConfiguration.text(), message }
}
