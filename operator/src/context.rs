use std::sync::Arc;

use kube::{
    Client, Resource,
    runtime::{
        events::{Event, EventType, Recorder},
        reflector::Store,
    },
};

use parking_lot::RwLock;

use crate::{
    OperatorArgs,
    election::Leadership,
    entrance::{self, Pairs},
    event_store::Guarded,
    metrics::Metrics,
    objects::Objects,
    pods::Pods,
};

/// What every controller uses.
pub(crate) struct Context {
    pub(crate) args: OperatorArgs,
    pub(crate) client: Client,
    pub(crate) leadership: Leadership,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) objects: Objects,
    /// What gateways are given so that other pods can come in.
    pub(crate) entrance: entrance::Known,
    /// The certificates of gateways.
    pub(crate) pairs: Pairs,
    pub(crate) pods: Pods,
    pub(crate) recorder: Recorder,
    /// The EventStores of every scope: what one holds, none of another may take.
    pub(crate) stores: RwLock<Vec<Store<Guarded>>>,
}

/// Longer notes are refused by the API server.
const LONGEST_NOTE: usize = 1000;

impl Context {
    /// `namespace:name` of the operator's service account.
    pub(crate) fn account(&self) -> String {
        format!("{}:{}", self.args.namespace, self.args.service_account)
    }

    /// Tells something about an object to whoever looks at it. An event that is lost is only news: what it says stands in
    /// the status too.
    pub(crate) async fn tell<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        is_good: bool,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let event = Event {
            type_: if is_good { EventType::Normal } else { EventType::Warning },
            reason: reason.to_owned(),
            note: Some(note.chars().take(LONGEST_NOTE).collect()),
            action: action.to_owned(),
            secondary: None,
        };
        self.metrics.wrote("Event");
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::debug!(%error, reason, "an event is not told");
        }
    }
}
