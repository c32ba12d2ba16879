//! ReplicationStrategies: whether they can be, and which stores use them.

use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams},
    core::DeserializeGuard,
    runtime::{
        Controller,
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use polylog_crds::{
    Condition, ConditionStatus, ReplicationStrategy,
    manifests::{Loaded, Manifests, ObjectKey},
    replication_strategy::ReplicationStrategyStatus,
    validate::{Capabilities, Kind, Severity, validate},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    event_store::{Guarded, key},
    kinds::{conditions_differ, in_labelled, retry},
    scope::Scope,
};

type GuardedStrategy = DeserializeGuard<ReplicationStrategy>;

const FIELD_MANAGER: &str = "polylog-operator-strategy-status";
/// Names that a status holds.
const MOST_USERS: usize = 1000;

struct Strategies {
    context: Arc<Context>,
    stores: Store<Guarded>,
}

/// Reconciles the strategies of a scope until `stop` is cancelled; `stores` are the EventStores there.
pub(crate) async fn control(
    context: Arc<Context>,
    scope: Scope,
    stores: Store<Guarded>,
    stop: CancellationToken,
) {
    let client = &context.client;
    let controller = Controller::new(scope.api::<GuardedStrategy>(client), watcher::Config::default());
    let known = controller.store();
    let strategies = Arc::new(Strategies { context: context.clone(), stores });
    in_labelled(controller, &context)
        // a store may have stopped using one: all of its namespace are looked at
        .watches(scope.api::<Guarded>(client), watcher::Config::default(), move |store| {
            let namespace = store.namespace();
            let of_namespace = known.state().into_iter().filter(|strategy| strategy.namespace() == namespace);
            of_namespace.map(|strategy| ObjectRef::from_obj(&*strategy)).collect::<Vec<_>>()
        })
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, |_, error, _| retry(error), strategies)
        .for_each(|outcome| {
            context.metrics.reconciled("replicationstrategy", outcome.is_ok());
            futures::future::ready(())
        })
        .await;
}

async fn reconcile(object: Arc<GuardedStrategy>, strategies: Arc<Strategies>) -> Result<Action, kube::Error> {
    let Some(key) = key(object.meta()) else { return Ok(Action::await_change()) };
    if let Some(later) = strategies.context.leave(&key.namespace, &*object).await? {
        return Ok(later);
    }
    if let Err(error) = strategies.stores.wait_until_ready().await {
        tracing::debug!(%error, "event stores are no longer watched");
        return Ok(Action::await_change());
    }
    let users = strategies.users(&key);
    let previous = object.0.as_ref().ok().and_then(|strategy| strategy.status.as_ref());
    let next = match &object.0 {
        Ok(strategy) => status(&key, strategy, &users, now()),
        Err(invalid) => {
            let message = format!("this version cannot read the ReplicationStrategy: {}", invalid.error);
            let valid = condition(object.meta(), ConditionStatus::False, "InvalidObject", &message, now());
            of(object.meta(), &users, valid)
        }
    };
    let is_equal = previous.is_some_and(|previous| {
        previous.used_by == next.used_by
            && previous.observed_generation == next.observed_generation
            && !conditions_differ(previous.conditions.as_deref(), next.conditions.as_deref())
    });
    if !is_equal {
        let next = keep_times(previous, next);
        let content = json!({
            "apiVersion": "polylog.dev/v1alpha1",
            "kind": "ReplicationStrategy",
            "metadata": { "name": key.name.as_str(), "namespace": key.namespace.as_str() },
            "status": next,
        });
        strategies.context.metrics.wrote("ReplicationStrategy/status");
        let api: Api<GuardedStrategy> =
            Api::namespaced(strategies.context.client.clone(), key.namespace.as_str());
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch_status(key.name.as_str(), &params, &Patch::Apply(content)).await?;
    }
    Ok(Action::await_change())
}

impl Strategies {
    fn users(&self, key: &ObjectKey) -> Vec<Arc<Guarded>> {
        self.stores.state_filter(|store| {
            let reference = store.0.as_ref().ok().and_then(|store| store.spec.strategy_ref.as_ref());
            store.namespace().as_deref() == Some(key.namespace.as_str())
                && reference.is_some_and(|reference| reference.name == key.name)
        })
    }
}

/// Whether it can be, by itself and for each store that uses it. Pure.
fn status(
    key: &ObjectKey,
    strategy: &ReplicationStrategy,
    users: &[Arc<Guarded>],
    now: Timestamp,
) -> ReplicationStrategyStatus {
    let mut manifests = Manifests::default();
    manifests.strategies.insert(key.clone(), Loaded::given(strategy.clone(), Value::Null));
    for user in users {
        if let (Some(key), Ok(store)) = (crate::event_store::key(user.meta()), &user.0) {
            manifests.stores.insert(key, Loaded::given(store.clone(), Value::Null));
        }
    }
    let findings = validate(&manifests, &Capabilities::OPERATOR, &Default::default());
    let ours =
        findings.iter().filter(|found| found.kind == Kind::ReplicationStrategy && found.object == *key);
    let (refused, warned): (Vec<_>, Vec<_>) = ours.partition(|found| found.severity == Severity::Refused);
    let told = |found: &[&polylog_crds::validate::Finding]| {
        let lines: Vec<String> =
            found.iter().map(|found| format!("{}: {}", found.path, found.message)).collect();
        lines.join("\n")
    };
    let valid = match refused.first() {
        None => condition(&strategy.metadata, ConditionStatus::True, "Accepted", &told(&warned), now),
        Some(first) => {
            let reason = format!("{:?}", first.code);
            condition(&strategy.metadata, ConditionStatus::False, &reason, &told(&refused), now)
        }
    };
    of(&strategy.metadata, users, valid)
}

fn of(meta: &ObjectMeta, users: &[Arc<Guarded>], valid: Condition) -> ReplicationStrategyStatus {
    let mut names: Vec<_> = users.iter().filter_map(|user| user.name_any().parse().ok()).collect();
    names.sort_unstable();
    names.truncate(MOST_USERS);
    ReplicationStrategyStatus {
        observed_generation: meta.generation,
        used_by: (!names.is_empty()).then_some(names),
        conditions: Some(vec![valid]),
    }
}

fn condition(
    meta: &ObjectMeta,
    status: ConditionStatus,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Condition {
    Condition {
        type_: "Valid".to_owned(),
        status,
        reason: reason.to_owned(),
        message: message.chars().take(4096).collect(),
        observed_generation: meta.generation,
        last_transition_time: now,
    }
}

fn keep_times(
    previous: Option<&ReplicationStrategyStatus>,
    mut next: ReplicationStrategyStatus,
) -> ReplicationStrategyStatus {
    let before = previous.and_then(|previous| previous.conditions.as_deref()).unwrap_or_default();
    crate::kinds::keep_times(before, next.conditions.as_deref_mut().unwrap_or_default());
    next
}

fn now() -> Timestamp {
    crate::kinds::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(spec: &str) -> ReplicationStrategy {
        let text = format!(
            "apiVersion: polylog.dev/v1alpha1\nkind: ReplicationStrategy\n\
             metadata: {{name: ledger-first, namespace: shop, generation: 2}}\nspec: {spec}"
        );
        serde_saphyr::from_str(&text).expect("a strategy")
    }

    fn store(name: &str) -> Arc<Guarded> {
        let text = format!(
            "apiVersion: polylog.dev/v1alpha1\nkind: EventStore\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{strategyRef: {{name: ledger-first}}, sources: [{{name: ledger, connection: {{secretRef: \
             {{name: x}}}}, postgres: {{schema: s}}}}]}}"
        );
        Arc::new(DeserializeGuard(Ok(serde_saphyr::from_str(&text).expect("a store"))))
    }

    #[test]
    fn a_strategy_is_judged_with_the_stores_that_use_it() {
        let key = ObjectKey {
            namespace: "shop".parse().expect("a name"),
            name: "ledger-first".parse().expect("a name"),
        };
        let of = |spec: &str, users: &[Arc<Guarded>]| {
            let status = status(&key, &strategy(spec), users, Timestamp::UNIX_EPOCH);
            let valid = status.conditions.clone().expect("one").remove(0);
            (status, valid)
        };
        let (status, valid) = of("{type: Priority}", &[store("payments"), store("audit")]);
        assert_eq!(valid.status, ConditionStatus::True, "{}", valid.message);
        let names: Vec<String> = status.used_by.expect("two").iter().map(ToString::to_string).collect();
        assert_eq!(names, ["audit", "payments"]);
        assert_eq!(status.observed_generation, Some(2));
        let unknown = "{type: Priority, order: [elsewhere]}";
        assert_eq!(of(unknown, &[]).1.status, ConditionStatus::True, "nobody uses it");
        let (_, valid) = of(unknown, &[store("payments")]);
        assert_eq!((valid.status, valid.reason.as_str()), (ConditionStatus::False, "InvalidReference"));
        assert!(
            valid.message.contains("elsewhere") && valid.message.contains("payments"),
            "{}",
            valid.message
        );
    }
}
