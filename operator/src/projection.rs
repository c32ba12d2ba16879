//! Projections: checked and told about. No projection runs in this version.

use std::sync::Arc;

use futures::StreamExt;
use kube::{
    Api, Resource,
    api::{ObjectMeta, Patch, PatchParams},
    core::DeserializeGuard,
    runtime::{Controller, controller::Action, watcher},
};
use polylog_crds::{
    Condition, ConditionStatus, Projection,
    manifests::{Loaded, Manifests, ObjectKey},
    projection::ProjectionStatus,
    validate::{Capabilities, FindingCode, Kind, Severity, validate},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    event_store::key,
    kinds::{conditions_differ, in_labelled, keep_times, now, retry},
    scope::Scope,
};

type Guarded = DeserializeGuard<Projection>;

const FIELD_MANAGER: &str = "polylog-operator-projection-status";

/// Reconciles the projections of a scope until `stop` is cancelled.
pub(crate) async fn control(context: Arc<Context>, scope: Scope, stop: CancellationToken) {
    let controller = Controller::new(scope.api::<Guarded>(&context.client), watcher::Config::default());
    in_labelled(controller, &context)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, |_, error, _| retry(error), context.clone())
        .for_each(|outcome| {
            context.metrics.reconciled("projection", outcome.is_ok());
            futures::future::ready(())
        })
        .await;
}

async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, kube::Error> {
    let Some(key) = key(object.meta()) else { return Ok(Action::await_change()) };
    if let Some(later) = context.leave(&key.namespace, &*object).await? {
        return Ok(later);
    }
    let previous = object.0.as_ref().ok().and_then(|projection| projection.status.as_ref());
    let (reason, message) = match &object.0 {
        Ok(projection) => refusal(&key, projection),
        Err(invalid) => {
            let message = format!("this version cannot read the Projection: {}", invalid.error);
            ("InvalidObject".to_owned(), message)
        }
    };
    let mut conditions = conditions(object.meta(), &reason, &message);
    let before = previous.and_then(|previous| previous.conditions.as_deref());
    let is_equal = previous.is_some_and(|previous| previous.observed_generation == object.meta().generation)
        && !conditions_differ(before, Some(&conditions));
    if !is_equal {
        keep_times(before.unwrap_or_default(), &mut conditions);
        let status = ProjectionStatus {
            observed_generation: object.meta().generation,
            conditions: Some(conditions),
            ..ProjectionStatus::default()
        };
        let content = json!({
            "apiVersion": "polylog.dev/v1alpha1",
            "kind": "Projection",
            "metadata": { "name": key.name.as_str(), "namespace": key.namespace.as_str() },
            "status": status,
        });
        context.metrics.wrote("Projection/status");
        let api: Api<Guarded> = Api::namespaced(context.client.clone(), key.namespace.as_str());
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch_status(key.name.as_str(), &params, &Patch::Apply(content)).await?;
    }
    Ok(Action::await_change())
}

/// What is wrong with it, apart from that this version runs none; `Accepted` for nothing. Pure.
fn refusal(key: &ObjectKey, projection: &Projection) -> (String, String) {
    let mut manifests = Manifests::default();
    manifests.projections.insert(key.clone(), Loaded::given(projection.clone(), Value::Null));
    let findings = validate(&manifests, &Capabilities::OPERATOR, &Default::default());
    let refused: Vec<_> = findings
        .iter()
        .filter(|found| found.kind == Kind::Projection && found.severity == Severity::Refused)
        // its store may come later, and that no projection runs is told by Ready
        .filter(|found| !matches!(found.code, FindingCode::NotSupported | FindingCode::InvalidReference))
        .collect();
    match refused.first() {
        None => ("Accepted".to_owned(), String::new()),
        Some(first) => {
            let lines: Vec<String> =
                refused.iter().map(|found| format!("{}: {}", found.path, found.message)).collect();
            (format!("{:?}", first.code), lines.join("\n"))
        }
    }
}

fn conditions(meta: &ObjectMeta, reason: &str, message: &str) -> Vec<Condition> {
    let condition = |type_: &str, status, reason: &str, message: &str| Condition {
        type_: type_.to_owned(),
        status,
        reason: reason.to_owned(),
        message: message.chars().take(4096).collect(),
        observed_generation: meta.generation,
        last_transition_time: now(),
    };
    let valid = if reason == "Accepted" { ConditionStatus::True } else { ConditionStatus::False };
    let words = "this version runs no projections; it is kept for one that does";
    vec![
        condition("Ready", ConditionStatus::False, "NotSupported", words),
        condition("Valid", valid, reason, message),
    ]
}
