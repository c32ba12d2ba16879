//! What the controllers of several kinds do alike.

use std::{fmt::Debug, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Resource, ResourceExt,
    api::PartialObjectMeta,
    runtime::{Controller, controller::Action, reflector::ObjectRef, watcher},
};
use polylog_crds::Condition;
use serde::de::DeserializeOwned;

use crate::context::Context;

/// How long to wait after the API server refused something. The requests themselves are tried again sooner.
const RETRY: Duration = Duration::from_secs(10);

/// As the API server keeps times: whole seconds, or each comparison would find a difference.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

/// Whether conditions say something else, whatever their times.
pub(crate) fn conditions_differ(before: Option<&[Condition]>, next: Option<&[Condition]>) -> bool {
    let said = |conditions: Option<&[Condition]>| -> Vec<Condition> {
        let without_time = |condition: &Condition| Condition {
            last_transition_time: Timestamp::UNIX_EPOCH,
            ..condition.clone()
        };
        conditions.unwrap_or_default().iter().map(without_time).collect()
    };
    said(before) != said(next)
}

/// The time of a condition is that of the last change of its status.
pub(crate) fn keep_times(before: &[Condition], next: &mut [Condition]) {
    for condition in next {
        let same =
            before.iter().find(|before| before.type_ == condition.type_ && before.status == condition.status);
        if let Some(before) = same {
            condition.last_transition_time = before.last_transition_time;
        }
    }
}

/// Where labels of namespaces decide: reconciles what stands in a namespace that gains or loses the label.
pub(crate) fn in_labelled<K>(controller: Controller<K>, context: &Arc<Context>) -> Controller<K>
where
    K: Clone + Resource<DynamicType = ()> + DeserializeOwned + Debug + Send + Sync + 'static,
{
    if !context.namespaces.are_labelled() {
        return controller;
    }
    let (context, objects) = (context.clone(), controller.store());
    // without a selector: what loses the label would come as it was before
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(context.client.clone());
    controller.watches(namespaces, watcher::Config::default(), move |namespace| {
        let name = namespace.name_any();
        context.namespaces.note(&namespace);
        let all = objects.state_filter(|object| object.namespace().as_deref() == Some(name.as_str()));
        all.into_iter().map(|object| ObjectRef::from_obj(&*object)).collect::<Vec<_>>()
    })
}

/// Tries a reconcile again.
pub(crate) fn retry(error: &kube::Error) -> Action {
    tracing::warn!(event = "status_unwritten", %error, "a status is written later");
    Action::requeue(RETRY)
}
