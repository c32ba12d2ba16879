//! Pods whose EventStore is not there: whoever looks at such a pod, which waits in its init phase, is told why.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod as KubePod;
use kube::{api::ObjectMeta, runtime::reflector::ObjectRef};
use polylog_crds::values::NamespaceName;

use crate::{context::Context, event_store::Guarded, fresh_pods::FreshPod, namespaces::Tended};

/// An EventStore is often applied together with its pods.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at each new pod once, as long as it is polled.
pub(crate) async fn tell(context: Arc<Context>) {
    loop {
        let pod = context.pods.fresh.next().await;
        tokio::time::sleep_until((pod.seen + PATIENCE).into()).await;
        if is_lost(&context, &pod).await && is_ours(&context, &pod).await {
            tell_of(&context, &pod).await;
        }
    }
}

async fn is_lost(context: &Context, pod: &FreshPod) -> bool {
    let stores = context.stores.read().clone();
    for scope in &stores {
        if scope.wait_until_ready().await.is_err() {
            return false;
        }
    }
    let wanted: ObjectRef<Guarded> = ObjectRef::new(&pod.store).within(&pod.namespace);
    context.pods.wants(&pod.namespace, &pod.name, &pod.store)
        && !stores.iter().any(|scope| scope.get(&wanted).is_some())
}

async fn is_ours(context: &Context, pod: &FreshPod) -> bool {
    let Ok(namespace) = pod.namespace.parse::<NamespaceName>() else { return false };
    matches!(context.namespaces.tend(&namespace).await, Ok(Tended::Ours))
}

async fn tell_of(context: &Context, pod: &FreshPod) {
    let FreshPod { namespace, name, store, uid, .. } = pod;
    let note = format!(
        "there is no EventStore {store} in namespace {namespace}: the pod waits in its init container until there is \
         one; apply it, or correct the pod's label"
    );
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(namespace.clone()),
        uid: Some(uid.clone()),
        ..ObjectMeta::default()
    };
    let regarding = KubePod { metadata, ..KubePod::default() };
    context.tell(&regarding, false, "EventStoreUnknown", "Inject", &note).await;
}
