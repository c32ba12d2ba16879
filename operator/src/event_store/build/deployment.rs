use polylog_crds::event_store::{Gateway, PodTemplate};
use serde_json::{Value, json};

use super::{Built, Kind, Wanted, volume};
use crate::names::{self, API_PORT, HEALTH_PORT};

const CONFIGURATION: &str = "/etc/polylog";
const TOKEN_FOLDER: &str = "/var/run/polylog";
/// For whom the gateway's token is made out.
const AUDIENCE: &str = "polylog";
/// The shortest that Kubernetes gives without being asked.
const SHORTEST_GRACE: u64 = 30;

/// The gateway.
pub(super) fn deployment(wanted: &Wanted<'_>) -> Built {
    let owner = wanted.owner;
    let gateway = wanted.spec.gateway.as_ref();
    let extra = gateway.and_then(|gateway| gateway.pod_template.as_ref());
    let fields = json!({ "spec": {
        "replicas": gateway.and_then(|gateway| gateway.replicas).unwrap_or(1),
        "selector": { "matchLabels": owner.selector() },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        "template": { "metadata": pod_metadata(wanted, extra), "spec": pod_spec(wanted, extra) },
    }});
    owner.built(Kind::Deployment, names::of_store(&owner.key), fields)
}

fn pod_metadata(wanted: &Wanted<'_>, extra: Option<&PodTemplate>) -> Value {
    let mut metadata = json!({ "labels": {} });
    for (name, value) in extra.and_then(|extra| extra.labels.as_ref()).into_iter().flatten() {
        metadata["labels"][name] = value.as_str().into();
    }
    // ours win: pods are selected by them
    if let Value::Object(ours) = wanted.owner.labels() {
        for (name, value) in ours {
            metadata["labels"][name] = value;
        }
    }
    if let Some(annotations) = extra.and_then(|extra| extra.annotations.as_ref()) {
        metadata["annotations"] = json!(annotations);
    }
    metadata
}

fn pod_spec(wanted: &Wanted<'_>, extra: Option<&PodTemplate>) -> Value {
    let drain = wanted.store.sidecar.drain.as_std().as_secs();
    let token = json!({ "serviceAccountToken": { "audience": AUDIENCE, "expirationSeconds": 3600, "path": "token" } });
    let mut spec = json!({
        "serviceAccountName": names::of_store(&wanted.owner.key),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": SHORTEST_GRACE.max(drain.saturating_add(5)),
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [container(wanted)],
        "volumes": [
            { "name": "configuration", "projected": volume::configuration(wanted) },
            { "name": "token", "projected": { "sources": [token] } },
        ],
    });
    let Some(extra) = extra else { return spec };
    if let Some(selector) = &extra.node_selector {
        spec["nodeSelector"] = json!(selector);
    }
    if let Some(tolerations) = extra.tolerations.as_ref().filter(|tolerations| !tolerations.is_empty()) {
        spec["tolerations"] = json!(tolerations);
    }
    if let Some(affinity) = &extra.affinity {
        spec["affinity"] = json!(affinity);
    }
    if let Some(class) = &extra.priority_class_name {
        spec["priorityClassName"] = class.as_str().into();
    }
    spec
}

fn container(wanted: &Wanted<'_>) -> Value {
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": { "path": path, "port": "metrics" },
            "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures,
        })
    };
    let mut container = json!({
        "name": "gateway",
        "image": wanted.image,
        "args": [
            "gateway", format!("--port={API_PORT}"), format!("--pods-port={API_PORT}"), "--pods-tls",
            format!("--health-port={HEALTH_PORT}"),
        ],
        "ports": [
            { "name": "api", "containerPort": API_PORT, "protocol": "TCP" },
            { "name": "metrics", "containerPort": HEALTH_PORT, "protocol": "TCP" },
        ],
        // configuration read and ports open, whatever the databases do
        "startupProbe": probe("/readyz", 1, 600),
        "readinessProbe": probe("/readyz", 5, 3),
        "livenessProbe": probe("/livez", 10, 3),
        "resources": resources(wanted.spec.gateway.as_ref()),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            { "name": "configuration", "mountPath": CONFIGURATION, "readOnly": true },
            { "name": "token", "mountPath": TOKEN_FOLDER, "readOnly": true },
        ],
    });
    if let Some(policy) = wanted.pull_policy {
        container["imagePullPolicy"] = policy.into();
    }
    container
}

fn resources(gateway: Option<&Gateway>) -> Value {
    let wanted = gateway.and_then(|gateway| gateway.resources.as_ref());
    let mut resources = json!({ "requests": { "cpu": "100m", "memory": "128Mi" } });
    if let Some(requests) = wanted.and_then(|wanted| wanted.requests.as_ref()) {
        resources["requests"] = json!(requests);
    }
    if let Some(limits) = wanted.and_then(|wanted| wanted.limits.as_ref()) {
        resources["limits"] = json!(limits);
    }
    resources
}
