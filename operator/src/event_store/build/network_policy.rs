use std::collections::BTreeSet;

use polylog_injection::names::STORE_LABEL;
use serde_json::{Value, json};

use super::{Built, Kind, Wanted};
use crate::names::{self, API_PORT, HEALTH_PORT};

/// The API for pods with a sidecar in this namespace, and of the namespaces that `access` names; metrics for everyone, since who scrapes
/// is not ours to know.
pub(super) fn network_policy(wanted: &Wanted<'_>) -> Built {
    let owner = wanted.owner;
    let own = owner.key.namespace.as_str();
    // a pod of another store may name this one in an annotation
    let has_sidecar = json!({ "matchExpressions": [{ "key": STORE_LABEL, "operator": "Exists" }] });
    let mut callers = vec![json!({ "podSelector": has_sidecar })];
    let rules = wanted.store.policy.access.rules();
    let namespaces: BTreeSet<&str> = rules
        .iter()
        .flat_map(|rule| &rule.service_accounts)
        .map(|account| account.namespace.as_str())
        .filter(|namespace| *namespace != own)
        .collect();
    callers.extend(namespaces.into_iter().map(of_another_namespace));
    let port = |number: u16| json!([{ "port": number, "protocol": "TCP" }]);
    let fields = json!({ "spec": {
        "podSelector": { "matchLabels": owner.selector() },
        "policyTypes": ["Ingress"],
        "ingress": [{ "from": callers, "ports": port(API_PORT) }, { "ports": port(HEALTH_PORT) }],
    }});
    owner.built(Kind::NetworkPolicy, names::of_store(&owner.key), fields)
}

/// A pod of another namespace carries its own store's label, and names this one in an annotation, which no policy can
/// select by.
fn of_another_namespace(namespace: &str) -> Value {
    json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
        "podSelector": { "matchExpressions": [{ "key": STORE_LABEL, "operator": "Exists" }] },
    })
}
