use std::sync::Arc;

use kube::{
    Client, Resource,
    runtime::{
        controller::Action,
        events::{Event, EventType, Recorder},
        reflector::Store,
    },
};

use parking_lot::RwLock;
use polylog_crds::values::NamespaceName;

use crate::{
    OperatorArgs,
    election::Leadership,
    entrance::{self, Pairs},
    event_store::Guarded,
    metrics::Metrics,
    namespaces::{Namespaces, Tended},
    objects::Objects,
    pods::Pods,
};

/// What every controller uses.
pub(crate) struct Context {
    pub(crate) args: OperatorArgs,
    pub(crate) client: Client,
    pub(crate) leadership: Leadership,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) namespaces: Namespaces,
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

    /// Whether an object's namespace is looked after here; `None` if so, else when to come back. That another installation
    /// has it, is told once, about the first object that asks.
    ///
    /// # Errors
    /// What the API server says; try again.
    pub(crate) async fn leave<K: Resource<DynamicType = ()>>(
        &self,
        namespace: &NamespaceName,
        object: &K,
    ) -> Result<Option<Action>, kube::Error> {
        match self.namespaces.tend(namespace).await? {
            Tended::Ours => Ok(None),
            Tended::Unlabelled => Ok(Some(Action::await_change())),
            Tended::Taken { holder, is_news, again } => {
                if is_news {
                    let note = self.namespaces.note_of(namespace, &holder);
                    self.tell(object, false, "NamespaceTaken", "Claim", &note).await;
                }
                Ok(Some(Action::requeue(again)))
            }
        }
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
