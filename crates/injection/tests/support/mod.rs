//! Pods and stores for the tests.
#![allow(dead_code, reason = "each test file uses a part")]

use polylog_crds::{manifests::ObjectKey, values::NamespaceName};
use polylog_injection::{Existing, Injection, InjectionError, Settings, Store, Stores, Warning, inject};
use serde_json::Value;

pub(crate) fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

pub(crate) fn namespace() -> NamespaceName {
    "shop".parse().expect("a name")
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey { namespace: namespace(), name: name.parse().expect("a name") }
}

/// A store with this specification.
pub(crate) fn store(name: &str, spec: &str) -> (ObjectKey, Store) {
    let spec = serde_saphyr::from_str(spec).expect("a specification");
    (key(name), Store::new(name, &spec))
}

pub(crate) const LEDGER: &str = "
sources:
  - {name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}
";

/// The stores `payments` and `audit`.
pub(crate) fn stores() -> Stores {
    let audit = "
sidecar: {apiPort: 7400, healthPort: 7401}
sources:
  - {name: book, connection: {secretRef: {name: ledger-db, key: audit}}, postgres: {schema: audit}}
";
    [store("payments", LEDGER), store("audit", audit)].into_iter().collect()
}

pub(crate) fn settings() -> Settings {
    Settings { image: "registry.example/polylog-sidecar:1".to_owned(), pull_policy: None }
}

pub(crate) const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  generateName: checkout-
  labels: {app: checkout, polylog.dev/eventstore: payments}
spec:
  initContainers:
    - {name: migrate, image: checkout}
  containers:
    - {name: checkout, image: checkout, env: [{name: LOG, value: info}], ports: [{containerPort: 8080}]}
    - {name: helper, image: helper}
  volumes:
    - {name: data, emptyDir: {}}
";

pub(crate) fn tried(pod: &Value, stores: &Stores) -> Result<Injection, InjectionError> {
    inject(pod, &namespace(), stores, &settings(), Existing::Keep)
}

/// The pod with its sidecar, and what was said.
pub(crate) fn told(pod: &Value, stores: &Stores) -> (Value, Vec<Warning>) {
    match tried(pod, stores).expect("it can have one") {
        Injection::Done { pod, warnings } => (pod, warnings),
        Injection::NotAsked => panic!("it asks for one"),
    }
}

/// The pod with its sidecar.
pub(crate) fn injected(pod: &Value) -> Value {
    told(pod, &stores()).0
}

pub(crate) fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|one| one["name"].as_str().expect("a name")).collect()
}
