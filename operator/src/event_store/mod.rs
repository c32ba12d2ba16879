//! EventStores: dereference, validate, provision and build, apply, status. One file each; the middle is without I/O.

mod asking;
mod budget;
pub(crate) mod build;
mod conditions;
mod deletion;
mod dereference;
mod drain;
mod entrance;
mod finalizer;
mod gateway;
mod joining;
mod look;
mod made;
mod membership;
mod memory;
pub(crate) mod provision;
mod reconcile;
mod refusal;
mod report;
mod status;
#[cfg(test)]
mod testing;
mod validate;
mod wait;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Resource, ResourceExt,
    api::PartialObjectMeta,
    core::DeserializeGuard,
    runtime::{
        Controller,
        controller::{Action, Config, Error as ControllerError},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use polylog_crds::{EventStore, ReplicationStrategy, manifests::ObjectKey};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use self::{
    asking::Asking,
    build::Kind,
    made::Made,
    memory::{Memory, Wish},
};
use crate::{context::Context, kinds::in_labelled, names, objects::Sight, scope::Scope};

/// An EventStore as it stands in the cluster, whether this version can read it or not.
pub(crate) type Guarded = DeserializeGuard<EventStore>;

/// Reconciles at the same time.
const CONCURRENCY: u16 = 32;
/// Changes that come together count once.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// What the controller of EventStores uses.
pub(crate) struct EventStores {
    pub(crate) context: Arc<Context>,
    pub(crate) stores: Store<Guarded>,
    memory: Arc<Memory>,
    asking: Asking,
}

/// The EventStores of a scope, and what reconciles them until `stop` is cancelled.
pub(crate) fn control(
    context: Arc<Context>,
    scope: Scope,
    stop: CancellationToken,
) -> (Store<Guarded>, impl Future<Output = ()> + Send + 'static) {
    let client = &context.client;
    let controller = Controller::new(scope.api::<Guarded>(client), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE));
    let stores = controller.store();
    context.stores.write().push(stores.clone());
    let memory = Arc::new(Memory::default());
    let asking = Asking::new(memory.clone());
    let event_stores =
        Arc::new(EventStores { context: context.clone(), stores: stores.clone(), memory, asking });
    let users = event_stores.clone();
    let controller = in_labelled(controller, &context).watches(
        scope.api::<PartialObjectMeta<ReplicationStrategy>>(client),
        watcher::Config::default(),
        move |strategy| users.users_of(&strategy),
    );
    let controller = owns::<ConfigMap>(controller, &event_stores, &scope, Kind::ConfigMap);
    let controller = owns::<ServiceAccount>(controller, &event_stores, &scope, Kind::ServiceAccount);
    let controller = owns::<Service>(controller, &event_stores, &scope, Kind::Service);
    let controller = owns::<NetworkPolicy>(controller, &event_stores, &scope, Kind::NetworkPolicy);
    let controller =
        owns_with_status::<PodDisruptionBudget>(controller, &event_stores, &scope, Kind::PodDisruptionBudget);
    let controller = owns_with_status::<Deployment>(controller, &event_stores, &scope, Kind::Deployment);
    let (known, all) = (context.entrance.clone(), event_stores.clone());
    // what every gateway is given has changed
    let news = WatchStream::from_changes(known).map(move |_| all.memory.look_again());
    let reconciling = controller
        .reconcile_all_on(news)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile::reconcile, failed, event_stores.clone())
        .for_each(move |outcome| {
            event_stores.ended(outcome);
            futures::future::ready(())
        });
    (stores, reconciling)
}

/// Has a store looked at when somebody else changes or deletes what was made for it.
fn owns<K>(
    controller: Controller<Guarded>,
    event_stores: &Arc<EventStores>,
    scope: &Scope,
    kind: Kind,
) -> Controller<Guarded>
where
    K: Clone + std::fmt::Debug + Send + 'static,
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope> + serde::de::DeserializeOwned,
{
    let api = scope.api::<PartialObjectMeta<K>>(&event_stores.context.client);
    let context = event_stores.context.clone();
    controller.watches(api, watcher::Config::default().labels(names::MANAGED), move |object| {
        let namespace = object.namespace()?;
        let is_changed =
            context.objects.see(kind, &namespace, &object.name_any(), &Sight::of(&object.metadata));
        let store = object.labels().get(names::INSTANCE)?;
        is_changed.then(|| ObjectRef::new(store).within(&namespace))
    })
}

/// The same for a kind whose status others write all the time: only what it is to be counts, and whether it serves now.
fn owns_with_status<K>(
    controller: Controller<Guarded>,
    event_stores: &Arc<EventStores>,
    scope: &Scope,
    kind: Kind,
) -> Controller<Guarded>
where
    K: Clone + std::fmt::Debug + Send + 'static,
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    let api = scope.api::<Made<K>>(&event_stores.context.client);
    let event_stores = event_stores.clone();
    controller.watches(api, watcher::Config::default().labels(names::MANAGED), move |object| {
        let namespace = object.namespace()?;
        let (name, sight) = (object.name_any(), object.sight());
        let was_ready = event_stores.context.objects.is_ready(kind, &namespace, &name);
        let is_changed = event_stores.context.objects.see(kind, &namespace, &name, &sight);
        let store = object.labels().get(names::INSTANCE)?;
        let is_news = was_ready.is_some_and(|was_ready| was_ready != sight.is_ready);
        if is_news && let (Ok(namespace), Ok(name)) = (namespace.parse(), store.parse()) {
            event_stores.memory.wish(ObjectKey { namespace, name }, Wish { ask: true, ..Wish::default() });
        }
        (is_changed || is_news).then(|| ObjectRef::new(store).within(&namespace))
    })
}

impl EventStores {
    /// The stores that a strategy is for; each is looked at anew.
    fn users_of(&self, strategy: &PartialObjectMeta<ReplicationStrategy>) -> Vec<ObjectRef<Guarded>> {
        let (namespace, name) = (strategy.namespace(), strategy.name_any());
        let uses = |store: &Guarded| {
            let reference = store.0.as_ref().ok().and_then(|store| store.spec.strategy_ref.as_ref());
            store.namespace() == namespace
                && reference.is_some_and(|reference| reference.name.as_str() == name)
        };
        let users = self.stores.state().into_iter().filter(|store| uses(store));
        users
            .inspect(|store| {
                if let Some(key) = key(store.meta()) {
                    self.memory.wish(key, Wish { look: true, ..Wish::default() });
                }
            })
            .map(|store| ObjectRef::from_obj(&*store))
            .collect()
    }

    fn ended<E: std::error::Error>(
        &self,
        outcome: Result<(ObjectRef<Guarded>, Action), ControllerError<reconcile::ReconcileError, E>>,
    ) {
        match outcome {
            Ok(_) => self.context.metrics.reconciled("eventstore", true),
            Err(ControllerError::ObjectNotFound(gone)) => {
                let namespace = gone.namespace.clone().unwrap_or_default();
                if let (Ok(namespace), Ok(name)) = (namespace.parse(), gone.name.parse()) {
                    let key = ObjectKey { namespace, name };
                    self.context.objects.forget(key.namespace.as_str(), &made(&key));
                    self.memory.forget(&key);
                    self.context.pairs.forget(&key);
                }
            }
            Err(ControllerError::ReconcilerFailed(..)) => {
                // logged where it is handled
                self.context.metrics.reconciled("eventstore", false);
            }
            Err(error) => tracing::debug!(%error, "event stores cannot be watched for the moment"),
        }
    }
}

/// What is made for a store.
fn made(key: &ObjectKey) -> Vec<(Kind, String)> {
    let name = names::of_store(key);
    let kinds = [
        Kind::ConfigMap,
        Kind::ServiceAccount,
        Kind::Service,
        Kind::NetworkPolicy,
        Kind::PodDisruptionBudget,
        Kind::Deployment,
    ];
    let mut made: Vec<_> = kinds.into_iter().map(|kind| (kind, name.clone())).collect();
    made.push((Kind::ConfigMap, names::of_plan(key)));
    made
}

pub(crate) fn key(meta: &kube::api::ObjectMeta) -> Option<ObjectKey> {
    Some(ObjectKey {
        namespace: meta.namespace.as_deref()?.parse().ok()?,
        name: meta.name.as_deref()?.parse().ok()?,
    })
}

fn failed(object: Arc<Guarded>, error: &reconcile::ReconcileError, stores: Arc<EventStores>) -> Action {
    let Some(key) = key(object.meta()) else { return Action::await_change() };
    let mut remembered = stores.memory.get(&key);
    remembered.failures = remembered.failures.saturating_add(1);
    let wait = memory::back_off(remembered.failures, rand::random());
    stores.memory.put(key.clone(), remembered);
    tracing::warn!(event = "reconcile_failed", store = %key, %error, "an EventStore is tried again");
    Action::requeue(wait)
}

/// Where an API of a kind leads.
pub(crate) fn namespaced<K>(context: &Context, key: &ObjectKey) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    Api::namespaced(context.client.clone(), key.namespace.as_str())
}
