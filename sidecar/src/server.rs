use std::{collections::BTreeMap, sync::Arc};

use polylog_api::{Code, Problem};
use polylog_replication::SourceState;

use crate::{
    drain::Drain,
    hosted::Hosted,
    http::{Bounds, Guard, Room, body},
    identity::{Subject, Workload},
    metrics::Metrics,
};

/// What every request of a process shares.
pub struct Server {
    /// Stores by name.
    pub stores: BTreeMap<String, Arc<Hosted>>,
    /// The store of the short path.
    pub default_store: Option<String>,
    /// Who calls.
    pub subject: Subject,
    /// Where the caller runs.
    pub workload: Workload,
    /// Which hosts and origins are answered.
    pub guard: Guard,
    /// Whether the process is about to stop.
    pub drain: Drain,
    /// What is counted.
    pub metrics: Metrics,
    room: Room,
}

impl Server {
    /// A server of these stores. With one store, or one named, the short path leads to it.
    pub fn new(stores: Vec<Hosted>, default_store: Option<String>, subject: Subject, bounds: Bounds) -> Self {
        let only = match &stores[..] {
            [only] => Some(only.name.clone()),
            _ => None,
        };
        let stores: BTreeMap<_, _> =
            stores.into_iter().map(|hosted| (hosted.name.clone(), Arc::new(hosted))).collect();
        Self {
            default_store: default_store.or(only),
            metrics: Metrics::new(),
            stores,
            subject,
            workload: Workload::default(),
            guard: Guard::default(),
            drain: Drain::default(),
            room: Room::new(bounds),
        }
    }

    /// The same, counting where others count already.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// Whether appends are accepted by every store, and no end is in sight; else why not.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        if self.drain.has_begun() {
            return Err("draining".into());
        }
        for hosted in self.stores.values() {
            let status = hosted.store.status().await;
            if !status.sources.iter().any(|source| source.state == SourceState::Primary) {
                return Err(format!("{} has no primary", hosted.name));
            }
        }
        Ok(())
    }

    /// Most bytes of a message, before it is known which store it is for.
    pub(crate) fn largest_message(&self) -> usize {
        let largest = |hosted: &Arc<Hosted>| body::largest(hosted.policy().limits);
        self.stores.values().map(largest).max().unwrap_or_default()
    }

    /// The store of this name, or that of the short path.
    pub(crate) fn store(&self, name: Option<&str>) -> Result<Arc<Hosted>, Problem> {
        let Some(name) = name.or(self.default_store.as_deref()) else {
            return Err(Problem::new(
                Code::StoreNotFound,
                "several stores are served here, and none is the default",
            )
            .next_step(format!("use /v1/stores/{{store}}/… with one of: {}", self.names())));
        };
        self.stores.get(name).cloned().ok_or_else(|| {
            let shown: String = name.chars().take(100).collect();
            Problem::new(Code::StoreNotFound, format_args!("no store {shown:?} is served here"))
                .next_step(format!("use one of: {}", self.names()))
        })
    }

    fn names(&self) -> String {
        self.stores.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}
