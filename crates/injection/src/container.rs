use polylog_crds::event_store::Resources;
use serde_json::{Map, Value, json};

use crate::{
    Settings,
    mark::{Elsewhere, Wanted},
    names::{self, CONFIGURATION_FOLDER, CONTAINER, GATEWAYS_VARIABLE, METRICS_PORT, TOKEN_FOLDER, VOLUME},
    request::Ports,
};

/// The name of a container; empty where it has none.
pub(crate) fn name(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

/// The sidecar: an init container that goes on running, so that it is there before the others and ends after them.
pub(crate) fn sidecar(wanted: &Wanted<'_>, ports: Ports, settings: &Settings, is_root: bool) -> Value {
    let mut container = json!({
        "name": CONTAINER,
        "image": settings.image,
        "restartPolicy": "Always",
        "args": arguments(ports),
        "ports": [{ "name": METRICS_PORT, "containerPort": ports.probes, "protocol": "TCP" }],
        // configuration read and ports open, whatever the databases do; as long as it may take for an EventStore to
        // be applied after its pods
        "startupProbe": {
            "httpGet": { "path": "/readyz", "port": METRICS_PORT },
            "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 600,
        },
        "livenessProbe": {
            "httpGet": { "path": "/livez", "port": METRICS_PORT },
            "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3,
        },
        // no readiness probe: a native sidecar's counts for its pod, and a database that is down would take every pod out
        // of its Service
        "resources": resources(wanted.own.resources.as_ref()),
        "securityContext": security(is_root),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            { "name": VOLUME, "mountPath": CONFIGURATION_FOLDER, "readOnly": true },
            { "name": VOLUME, "mountPath": TOKEN_FOLDER, "readOnly": true },
        ],
    });
    if let Some(policy) = &settings.pull_policy {
        container["imagePullPolicy"] = policy.as_str().into();
    }
    if !wanted.elsewhere.is_empty() {
        let gateways: Value = wanted.elsewhere.iter().map(gateway).collect();
        container["env"] = json!([{ "name": GATEWAYS_VARIABLE, "value": gateways.to_string() }]);
    }
    container
}

/// Where a store of another namespace is: nothing of that namespace can be mounted here.
fn gateway((key, authority): &Elsewhere<'_>) -> Value {
    let address = names::gateway(key.namespace.as_str(), key.name.as_str());
    let mut gateway = json!({ "store": format!("{}/{}", key.namespace, key.name), "address": address });
    if let Some(authority) = authority {
        gateway["authority"] = authority.as_ref().into();
    }
    gateway
}

const ROLE: &str = "sidecar";
const API_PORT: &str = "--port=";
const PROBES_PORT: &str = "--health-port=";

fn arguments(ports: Ports) -> [String; 3] {
    [ROLE.to_owned(), format!("{API_PORT}{}", ports.api), format!("{PROBES_PORT}{}", ports.probes)]
}

/// The ports of a sidecar that was made by [`sidecar`].
pub(crate) fn ports_of(container: &Value) -> Option<Ports> {
    let arguments = container["args"].as_array()?;
    let port = |prefix: &str| {
        let mut texts = arguments.iter().filter_map(Value::as_str);
        texts.find_map(|text| text.strip_prefix(prefix))?.parse().ok()
    };
    Some(Ports { api: port(API_PORT)?, probes: port(PROBES_PORT)? })
}

fn resources(wanted: Option<&Resources>) -> Value {
    let part = |wanted: Option<&std::collections::BTreeMap<String, _>>, default: Value| match wanted {
        Some(wanted) => serde_json::to_value(wanted).unwrap_or(default),
        None => default,
    };
    let Some(wanted) = wanted else {
        return json!({ "requests": default_requests(), "limits": default_limits() });
    };
    json!({
        "requests": part(wanted.requests.as_ref(), default_requests()),
        "limits": part(wanted.limits.as_ref(), default_limits()),
    })
}

fn default_requests() -> Value {
    json!({ "cpu": "20m", "memory": "48Mi" })
}

fn default_limits() -> Value {
    json!({ "memory": "128Mi" })
}

/// As the `restricted` standard wants it. No user: some platforms assign one.
fn security(is_root: bool) -> Value {
    let mut security = Map::new();
    security.insert("allowPrivilegeEscalation".to_owned(), false.into());
    security.insert("capabilities".to_owned(), json!({ "drop": ["ALL"] }));
    security.insert("readOnlyRootFilesystem".to_owned(), true.into());
    // a pod whose containers all run as root would not start otherwise
    if !is_root {
        security.insert("runAsNonRoot".to_owned(), true.into());
    }
    security.insert("seccompProfile".to_owned(), json!({ "type": "RuntimeDefault" }));
    Value::Object(security)
}
