use serde_json::json;

use super::{Built, Kind, Owner};
use crate::names::{self, HEALTH_PORT};

/// As whom the gateway runs. It asks the API server for nothing.
pub(super) fn service_account(owner: &Owner) -> Built {
    let fields = json!({ "automountServiceAccountToken": false });
    owner.built(Kind::ServiceAccount, names::of_store(&owner.key), fields)
}

/// Where the gateway's metrics are. The gateway of this version has no API for other pods.
pub(super) fn service(owner: &Owner) -> Built {
    let fields = json!({ "spec": {
        "selector": owner.selector(),
        "ports": [{ "name": "metrics", "port": HEALTH_PORT, "protocol": "TCP", "targetPort": "metrics" }],
    }});
    owner.built(Kind::Service, names::of_store(&owner.key), fields)
}
