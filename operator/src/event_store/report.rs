//! A store's status and events in the cluster.

use std::{
    cell::OnceCell,
    time::{Duration, Instant},
};

use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams},
    runtime::controller::Action,
};
use polylog_crds::{
    Condition, ConditionStatus, EventStore, event_store::EventStoreStatus, manifests::ObjectKey,
};
use polylog_injection::{
    Mark, Store, Stores,
    names::{MORE_STORES_ANNOTATION, STORE_LABEL},
};
use serde_json::json;

use crate::{kinds::now, pods::PodCounts};

use super::{
    EventStores, Guarded,
    asking::SOON,
    gateway::Seen,
    look::approved_by,
    memory::{EVERY, Remembered, STATUS_EVERY, spread},
    provision::Progress,
    reconcile::ReconcileError,
    status::{Facts, Judged, status},
};

const FIELD_MANAGER: &str = "polylog-operator-eventstore-status";
/// Conditions whose change is an event.
const TOLD: [&str; 3] = ["Valid", "Provisioned", "Available"];

/// When a status is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Now,
    Never,
    /// Once so much time has passed.
    In(Duration),
}

/// At once where a condition changed, else at most every 30 s, and never where nothing did. Pure.
fn when(before: Option<&EventStoreStatus>, next: &EventStoreStatus, since: Option<Duration>) -> Write {
    let Some(before) = before else { return Write::Now };
    if before == next {
        return Write::Never;
    }
    let said = |status: &EventStoreStatus| -> Vec<(String, ConditionStatus, String, Option<i64>)> {
        let conditions = status.conditions.iter().flatten();
        let said = |condition: &Condition| {
            let Condition { type_, status, reason, observed_generation, .. } = condition;
            (type_.clone(), *status, reason.clone(), *observed_generation)
        };
        conditions.map(said).collect()
    };
    let has_new_plan =
        before.plan.as_ref().map(|plan| &plan.hash) != next.plan.as_ref().map(|plan| &plan.hash);
    if said(before) != said(next) || has_new_plan || before.store_id != next.store_id {
        return Write::Now;
    }
    match since {
        Some(since) if since < STATUS_EVERY => Write::In(STATUS_EVERY - since),
        _ => Write::Now,
    }
}

impl EventStores {
    /// Writes the status, if it is time, and says when to look again.
    pub(super) async fn report(
        &self,
        key: &ObjectKey,
        meta: &ObjectMeta,
        store: Option<&EventStore>,
        mut remembered: Remembered,
    ) -> Result<Action, ReconcileError> {
        let nothing = Seen::Nothing("it was not asked".to_owned());
        let written = remembered.status.as_ref();
        // what was written last, which a watch may not have brought yet
        let before = written.map(|(_, status)| status).or(store.and_then(|store| store.status.as_ref()));
        let before = before.cloned();
        let since = written.map(|(written, _)| written.elapsed());
        let Some(judged) = remembered.judged.as_ref() else { return Ok(Action::requeue(EVERY)) };
        let facts = Facts {
            name: key.name.as_str(),
            namespace: key.namespace.as_str(),
            generation: meta.generation,
            judged,
            gateway: remembered.gateway.as_ref().map_or(&nothing, |(_, seen)| seen),
            pods: &self.pods_of(key),
            previous: before.as_ref(),
            now: now(),
        };
        let next = status(&facts);
        let is_served = matches!(judged, Judged::Looked(..) | Judged::Blind(_));
        let until = if is_served { remembered.gateway_wait() } else { EVERY };
        let mut wait = spread(until, rand::random());
        match when(before.as_ref(), &next, since) {
            Write::Never => {}
            Write::In(rest) => wait = wait.min(rest),
            Write::Now => {
                self.write(key, &next).await?;
                if let Some(store) = store {
                    self.tell_of_conditions(store, before.as_ref(), &next).await;
                }
                remembered.status = Some((Instant::now(), next));
            }
        }
        if let Some(next) = remembered.next {
            wait = wait.min(next.saturating_duration_since(Instant::now()));
        }
        if self.asking.is_under_way(key) {
            wait = wait.min(SOON);
        }
        self.memory.put(key.clone(), remembered);
        Ok(Action::requeue(wait.max(Duration::from_millis(100))))
    }

    /// The pods of a store. What would be mounted into one of them now is what the webhook would say.
    pub(super) fn pods_of(&self, key: &ObjectKey) -> PodCounts {
        let stores = OnceCell::new();
        let wanted = |more: Option<&str>| {
            let stores = stores.get_or_init(|| self.stores_of(key));
            let metadata = json!({
                "labels": { (STORE_LABEL): key.name.as_str() },
                "annotations": more.map(|more| json!({ (MORE_STORES_ANNOTATION): more })).unwrap_or_default(),
            });
            // what injection refuses is no pod of ours
            Mark::wanted(&key.namespace, &metadata, stores).ok().flatten()
        };
        self.context.pods.count(key.namespace.as_str(), key.name.as_str(), wanted)
    }

    /// The stores of the same namespace, which a pod may ask for beside its own.
    fn stores_of(&self, key: &ObjectKey) -> Stores {
        let all =
            self.stores.state_filter(|store| store.namespace().as_deref() == Some(key.namespace.as_str()));
        let known = all.iter().filter_map(|store| {
            let spec = &store.0.as_ref().ok()?.spec;
            let key = super::key(store.meta())?;
            let store = Store::new(key.name.as_str(), spec);
            Some((key, store))
        });
        known.collect()
    }

    /// Everything stays as it is, also in the status, but for one condition.
    pub(super) async fn report_suspended(
        &self,
        key: &ObjectKey,
        store: &EventStore,
    ) -> Result<Action, ReconcileError> {
        let mut next = store.status.clone().unwrap_or_default();
        let conditions = next.conditions.get_or_insert_default();
        let is_told = |condition: &Condition| {
            condition.type_ == "Reconciling"
                && condition.reason == "Suspended"
                && condition.observed_generation == store.metadata.generation
        };
        if conditions.iter().any(is_told) {
            return Ok(Action::await_change());
        }
        conditions.retain(|condition| condition.type_ != "Reconciling");
        conditions.push(Condition {
            type_: "Reconciling".to_owned(),
            status: ConditionStatus::False,
            reason: "Suspended".to_owned(),
            message: "spec.suspend is true: nothing is changed, and nothing is looked at".to_owned(),
            observed_generation: store.metadata.generation,
            last_transition_time: now(),
        });
        next.observed_generation = store.metadata.generation;
        self.write(key, &next).await?;
        // once it is resumed everything is looked at anew
        self.memory.forget(key);
        Ok(Action::await_change())
    }

    pub(super) async fn write(
        &self,
        key: &ObjectKey,
        status: &EventStoreStatus,
    ) -> Result<(), ReconcileError> {
        let api: Api<Guarded> = super::namespaced(&self.context, key);
        let content = json!({
            "apiVersion": "polylog.dev/v1alpha1",
            "kind": "EventStore",
            "metadata": { "name": key.name.as_str(), "namespace": key.namespace.as_str() },
            "status": status,
        });
        self.context.metrics.wrote("EventStore/status");
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch_status(key.name.as_str(), &params, &Patch::Apply(content)).await?;
        Ok(())
    }

    async fn tell_of_conditions(
        &self,
        store: &EventStore,
        before: Option<&EventStoreStatus>,
        next: &EventStoreStatus,
    ) {
        let find = |status: &EventStoreStatus, type_: &str| {
            status.conditions.iter().flatten().find(|condition| condition.type_ == type_).cloned()
        };
        for type_ in TOLD {
            let Some(condition) = find(next, type_) else { continue };
            let was = before.and_then(|before| find(before, type_)).map(|condition| condition.status);
            if condition.status == ConditionStatus::Unknown || was == Some(condition.status) {
                continue;
            }
            let is_good = condition.status == ConditionStatus::True;
            let note = format!("{type_}: {}", if is_good { "True" } else { &condition.message });
            self.context.tell(store, is_good, &condition.reason, "Reconcile", &note).await;
        }
    }

    /// Steps that were carried out, and steps that wait; each once.
    pub(super) async fn tell_of_plan(
        &self,
        store: &EventStore,
        progress: &Progress,
        remembered: &mut Remembered,
    ) {
        let key = store.name_any();
        if progress.done > 0 {
            // events that agree in reason and action are counted as one, with the first one's note
            let (reason, action, by) = match &progress.approved {
                None => ("PlanApplied", "Provision".to_owned(), String::new()),
                Some(hash) => (
                    "PlanApproved",
                    format!("Provision {hash}"),
                    format!(", approved by {}", approved_by(store)),
                ),
            };
            let note = format!("{} steps carried out{by}", progress.done);
            tracing::info!(
                event = "plan_applied",
                store = key,
                steps = progress.done,
                "a plan was carried out"
            );
            self.context.tell(store, true, reason, &action, &note).await;
        }
        if progress.waiting.is_empty() {
            remembered.told = None;
            return;
        }
        let hash = progress.waiting.hash();
        if remembered.told.as_ref() != Some(&hash) {
            tracing::info!(event = "plan_waits", store = key, plan = hash, "a plan waits");
            let note = format!("plan {hash} waits: {} steps", progress.waiting.steps().count());
            self.context.tell(store, true, "PlanWaits", &format!("Await {hash}"), &note).await;
            remembered.told = Some(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn status(reason: &str, position: u64) -> EventStoreStatus {
        let condition = Condition {
            type_: "Ready".into(),
            status: ConditionStatus::True,
            reason: reason.into(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: Timestamp::UNIX_EPOCH,
        };
        EventStoreStatus {
            position: Some(position),
            conditions: Some(vec![condition]),
            ..EventStoreStatus::default()
        }
    }

    #[test]
    fn a_condition_is_told_at_once_a_number_every_thirty_seconds_and_nothing_never() {
        let before = status("InSync", 1);
        let since = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(when(None, &before, None), Write::Now);
        assert_eq!(when(Some(&before), &before, since(90)), Write::Never);
        assert_eq!(when(Some(&before), &status("Lagging", 1), since(0)), Write::Now);
        assert_eq!(when(Some(&before), &status("InSync", 2), since(10)), Write::In(Duration::from_secs(20)));
        assert_eq!(when(Some(&before), &status("InSync", 2), since(30)), Write::Now);
        assert_eq!(when(Some(&before), &status("InSync", 2), None), Write::Now, "after a restart");
    }
}
