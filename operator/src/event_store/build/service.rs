use serde_json::json;

use super::{Built, Kind, Owner};
use crate::names::{self, API_PORT, HEALTH_PORT};

/// As whom the gateway runs. It asks the API server for nothing.
pub(super) fn service_account(owner: &Owner) -> Built {
    let fields = json!({ "automountServiceAccountToken": false });
    owner.built(Kind::ServiceAccount, names::of_store(&owner.key), fields)
}

/// Where the gateway is: its API for other pods, over TLS, and its metrics.
pub(super) fn service(owner: &Owner) -> Built {
    let fields = json!({ "spec": {
        "selector": owner.selector(),
        "ports": [
            { "name": "api", "port": API_PORT, "protocol": "TCP", "targetPort": "api" },
            { "name": "metrics", "port": HEALTH_PORT, "protocol": "TCP", "targetPort": "metrics" },
        ],
    }});
    owner.built(Kind::Service, names::of_store(&owner.key), fields)
}
