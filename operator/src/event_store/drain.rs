//! Whether anybody still uses a store that is to be wiped.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, ObjectMeta, Patch, PatchParams},
};
use polylog_crds::manifests::ObjectKey;
use polylog_injection::names::{INJECTED_ANNOTATION, MORE_STORES_ANNOTATION, STORE_LABEL};
use serde_json::json;

use super::{EventStores, wait::Wait};
use crate::names;

/// Of a pod that has ended nothing runs, though it may be there for days.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";
/// Pods of one answer.
const PAGE: u32 = 500;

impl EventStores {
    /// Ends the gateway, and says who else has to end before nobody writes.
    pub(super) async fn drain(&self, key: &ObjectKey) -> Result<Option<Wait>, kube::Error> {
        self.end_gateway(key).await?;
        let sidecars = self.running(key, STORE_LABEL, |meta| has_sidecar_of(key, meta)).await?;
        if !sidecars.is_empty() {
            return Ok(Some(Wait::Sidecars(sidecars)));
        }
        let (label, value) = names::GATEWAY;
        let labels = format!("{label}={value},{}={}", names::INSTANCE, key.name);
        let gateway = self.running(key, &labels, |_| true).await?;
        Ok((!gateway.is_empty()).then_some(Wait::Gateway(gateway)))
    }

    async fn end_gateway(&self, key: &ObjectKey) -> Result<(), kube::Error> {
        let remembered = self.memory.get(key);
        if remembered.gateway_is_ended {
            return Ok(());
        }
        let api: Api<Deployment> = super::namespaced(&self.context, key);
        let none = json!({ "spec": { "replicas": 0 } });
        self.context.metrics.wrote("Deployment");
        let name = names::of_store(key);
        match api.patch(&name, &PatchParams::default(), &Patch::Merge(none)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
        let remembered = super::memory::Remembered { gateway_is_ended: true, ..remembered };
        self.memory.put(key.clone(), remembered);
        Ok(())
    }

    /// Names of the pods that run.
    async fn running(
        &self,
        key: &ObjectKey,
        labels: &str,
        counts: impl Fn(&ObjectMeta) -> bool,
    ) -> Result<Vec<String>, kube::Error> {
        let api: Api<Pod> = super::namespaced(&self.context, key);
        let mut params = ListParams::default().labels(labels).fields(RUNNING).limit(PAGE);
        let mut names = Vec::new();
        loop {
            let page = api.list_metadata(&params).await?;
            let found = page.items.iter().filter(|pod| counts(&pod.metadata));
            names.extend(found.map(ResourceExt::name_any));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(names),
            }
        }
    }
}

/// Whether a pod of the store's namespace has a sidecar that serves it. Those of other namespaces go through the gateway.
fn has_sidecar_of(key: &ObjectKey, meta: &ObjectMeta) -> bool {
    let annotation = |name: &str| meta.annotations.as_ref().and_then(|annotations| annotations.get(name));
    let label = meta.labels.as_ref().and_then(|labels| labels.get(STORE_LABEL));
    let is_own = label.is_some_and(|store| store == key.name.as_str());
    let full = format!("{}/{}", key.namespace, key.name);
    let more = annotation(MORE_STORES_ANNOTATION).map(String::as_str).unwrap_or_default();
    let is_further = more.split(',').map(str::trim).any(|store| store == key.name.as_str() || store == full);
    annotation(INJECTED_ANNOTATION).is_some() && (is_own || is_further)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_serves_the_store_of_the_label_and_further_ones() {
        let key = ObjectKey {
            namespace: "shop".parse().expect("a name"),
            name: "payments".parse().expect("a name"),
        };
        let pod = |store: &str, annotations: &[(&str, &str)]| ObjectMeta {
            labels: Some([(STORE_LABEL.to_owned(), store.to_owned())].into()),
            annotations: Some(annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..ObjectMeta::default()
        };
        let injected = (INJECTED_ANNOTATION, "0.1.0/x");
        assert!(has_sidecar_of(&key, &pod("payments", &[injected])));
        assert!(!has_sidecar_of(&key, &pod("payments", &[])), "it has none");
        assert!(!has_sidecar_of(&key, &pod("audit", &[injected])));
        for more in ["billing/x, payments", "shop/payments"] {
            assert!(
                has_sidecar_of(&key, &pod("audit", &[injected, (MORE_STORES_ANNOTATION, more)])),
                "{more}"
            );
        }
        assert!(!has_sidecar_of(
            &key,
            &pod("audit", &[injected, (MORE_STORES_ANNOTATION, "billing/payments")])
        ));
    }
}
