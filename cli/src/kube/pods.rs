//! Pods that ask for a sidecar of a store, and which they have.

use std::collections::{BTreeMap, HashMap};

use polylog_crds::{
    event_store::EventStoreSpec,
    manifests::ObjectKey,
    values::{NamespaceName, ObjectName},
};
use polylog_injection::{Mark, Settings, Store as KnownStore, Stores, names::STORE_LABEL};
use serde_json::Value;

use super::{
    kubectl::{EVENT_STORES, Kubectl, KubectlError, Scope},
    object::{Store, list, text},
};

/// A pod that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    /// What keeps it: kind and name. Absent where nothing does.
    pub(super) owner: Option<(String, String)>,
    pub(super) sidecar: Sidecar,
}

/// Which sidecar a pod has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sidecar {
    /// The one that it would be given now.
    Current(String),
    /// One of another version.
    Outdated(String),
    /// One of this version, without something that is to be mounted now.
    Lacking(String),
    /// None.
    None,
}

impl Sidecar {
    pub(super) fn is_current(&self) -> bool {
        matches!(self, Self::Current(_))
    }

    /// In a few words.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Current(version) => version.clone(),
            Self::Outdated(version) => format!("{version}, outdated"),
            Self::Lacking(version) => format!("{version}, lacks what is mounted now"),
            Self::None => "none".to_owned(),
        }
    }
}

/// Against what pods are judged.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The version that is injected now.
    pub(super) version: String,
    namespace: NamespaceName,
    /// What is mounted, as this program sees it; only of use where it is of that version itself.
    stores: Option<Stores>,
}

impl Wanted {
    /// What the operator of this store injects.
    pub(super) fn of(store: &Store, stores: &[Value]) -> Option<Self> {
        let namespace: NamespaceName = store.namespace().parse().ok()?;
        let version = store.current_version().unwrap_or(Settings::VERSION).to_owned();
        let known = |object: &Value| {
            let name: ObjectName = text(object, "/metadata/name").parse().ok()?;
            let spec: EventStoreSpec = serde_json::from_value(object["spec"].clone()).ok()?;
            let known = KnownStore::new(name.as_str(), &spec);
            Some((ObjectKey { namespace: namespace.clone(), name }, known))
        };
        // a store that this version cannot read would be taken for one without Secrets
        let all: Option<Stores> = stores.iter().map(known).collect();
        let stores = all.filter(|_| version == Settings::VERSION);
        Some(Self { version, namespace, stores })
    }

    fn judge(&self, metadata: &Value) -> Sidecar {
        let Some(mark) = Mark::carried(metadata) else { return Sidecar::None };
        if mark.version != self.version {
            return Sidecar::Outdated(mark.version);
        }
        let wanted =
            self.stores.as_ref().and_then(|stores| Mark::wanted(&self.namespace, metadata, stores).ok());
        match wanted.flatten() {
            Some(wanted) if wanted.mounts != mark.mounts => Sidecar::Lacking(mark.version),
            _ => Sidecar::Current(mark.version),
        }
    }
}

/// The pods of a store that run or will.
pub(super) fn read(pods: &[Value], wanted: &Wanted) -> Vec<Pod> {
    let runs = |pod: &&Value| {
        let has_ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        !has_ended && pod.pointer("/metadata/deletionTimestamp").is_none_or(Value::is_null)
    };
    let read = |pod: &Value| Pod {
        name: text(pod, "/metadata/name").to_owned(),
        owner: controller(pod),
        sidecar: wanted.judge(&pod["metadata"]),
    };
    pods.iter().filter(runs).map(read).collect()
}

/// The owner that keeps an object.
pub(super) fn controller(object: &Value) -> Option<(String, String)> {
    let owners = list(object, "/metadata/ownerReferences");
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((text(owner, "/kind").to_owned(), text(owner, "/name").to_owned()))
}

/// How many pods have which sidecar.
pub(super) fn by_sidecar(pods: &[Pod]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for pod in pods {
        *counts.entry(pod.sidecar.shown()).or_default() += 1;
    }
    counts
}

/// Asks for the pods of a store.
pub(super) fn ask(kubectl: &Kubectl, store: &Store) -> Result<(Vec<Pod>, Wanted), KubectlError> {
    let scope = Scope::In(store.namespace());
    let stores = kubectl.list(EVENT_STORES, &[], scope)?;
    let wanted = Wanted::of(store, &stores)
        .ok_or_else(|| KubectlError::Other(format!("{:?} is no namespace", store.namespace())))?;
    let selector = format!("--selector={STORE_LABEL}={}", store.name());
    let pods = kubectl.list("pods", &[&selector], scope)?;
    Ok((read(&pods, &wanted), wanted))
}

/// Objects by their names.
pub(super) fn by_name(objects: Vec<Value>) -> HashMap<String, Value> {
    objects.into_iter().map(|object| (text(&object, "/metadata/name").to_owned(), object)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store(version: Option<&str>) -> Store {
        Store(json!({
            "metadata": { "name": "payments", "namespace": "shop" },
            "spec": { "sources": [{
                "name": "ledger", "connection": { "secretRef": { "name": "ledger-db" } }, "postgres": { "schema": "s" },
            }] },
            "status": { "pods": { "currentVersion": version } },
        }))
    }

    fn pod(mark: Option<&str>, phase: &str) -> Value {
        json!({
            "metadata": {
                "name": "a", "labels": { STORE_LABEL: "payments" },
                "annotations": mark.map(|mark| json!({ "polylog.dev/injected": mark })),
                "ownerReferences": [{ "kind": "Other", "name": "x" }, { "kind": "Job", "name": "j", "controller": true }],
            },
            "status": { "phase": phase },
        })
    }

    fn judged(store: &Store, mark: Option<&str>) -> Sidecar {
        let wanted = Wanted::of(store, std::slice::from_ref(&store.0)).expect("a namespace");
        read(&[pod(mark, "Running")], &wanted).remove(0).sidecar
    }

    #[test]
    fn pods_are_judged_by_the_operators_version_and_by_what_is_mounted() {
        let this = store(Some(Settings::VERSION));
        let wanted = Wanted::of(&this, std::slice::from_ref(&this.0)).expect("a namespace");
        let metadata = pod(None, "Running")["metadata"].clone();
        let mark = Mark::wanted(&wanted.namespace, &metadata, wanted.stores.as_ref().expect("stores"));
        let mark = mark.expect("no mistake").expect("it wants one");
        assert!(judged(&this, Some(&mark.to_string())).is_current());
        let other = format!("{}/00000000000000aa", Settings::VERSION);
        assert!(matches!(judged(&this, Some(&other)), Sidecar::Lacking(_)));
        assert_eq!(judged(&this, Some("0.0.1/00000000000000aa")), Sidecar::Outdated("0.0.1".into()));
        assert_eq!(judged(&this, None), Sidecar::None);
        // another operator's mounts are not ours to judge
        let newer = store(Some("99.0.0"));
        assert!(judged(&newer, Some("99.0.0/00000000000000aa")).is_current());
        assert!(matches!(judged(&newer, Some(&other)), Sidecar::Outdated(_)));
        assert!(
            judged(&store(None), Some(&mark.to_string())).is_current(),
            "an older operator does not say it"
        );
    }

    #[test]
    fn pods_that_have_ended_do_not_count_and_the_controller_is_the_owner() {
        let this = store(None);
        let wanted = Wanted::of(&this, &[]).expect("a namespace");
        let mut leaving = pod(None, "Running");
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let pods =
            read(&[pod(None, "Succeeded"), pod(None, "Failed"), leaving, pod(None, "Pending")], &wanted);
        assert_eq!(pods.len(), 1);
        assert_eq!(pods[0].owner, Some(("Job".into(), "j".into())));
        assert_eq!(by_sidecar(&pods), BTreeMap::from([("none".into(), 1)]));
    }
}
