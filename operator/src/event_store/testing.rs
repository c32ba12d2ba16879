//! Stores for unit tests.

use polylog_crds::{
    EventStore,
    manifests::{Loaded, Manifests, ObjectKey},
};
use serde_json::Value;

use super::dereference::Dereferenced;

/// The specification of one PostgreSQL source.
pub(crate) const PAYMENTS: &str =
    "sources: [{name: ledger, connection: {secretRef: {name: ledger-db}}, postgres: {schema: payments}}]";

/// The store `shop/payments` with this specification.
pub(crate) fn store(spec: &str) -> EventStore {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "apiVersion: polylog.dev/v1alpha1\nkind: EventStore\nmetadata: {{name: payments, namespace: shop}}\nspec:\n{spec}"
    );
    serde_saphyr::from_str(&text).expect("an EventStore")
}

/// The same, with nothing but itself to refer to.
pub(crate) fn dereferenced(spec: &str) -> (ObjectKey, Dereferenced) {
    let key = ObjectKey {
        namespace: "shop".parse().expect("a namespace"),
        name: "payments".parse().expect("a name"),
    };
    let mut manifests = Manifests::default();
    manifests.stores.insert(key.clone(), Loaded::given(store(spec), Value::Null));
    (key, Dereferenced { manifests, schemas: None, is_blind: false })
}
