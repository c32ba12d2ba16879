use std::process::Output;

use serde_json::{Value, json};

use crate::{
    bed::{Bed, done, text, until},
    condition,
};

/// The lines of a check, by what they are about: outcome and fix.
fn checks(output: &Output) -> Vec<(String, String, String, String)> {
    let sections: Value = serde_json::from_str(&text(&output.stdout)).expect("JSON");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for section in sections.as_array().expect("sections") {
        for check in section["checks"].as_array().expect("checks") {
            found.push((
                word(&section["about"]),
                word(&check["check"]),
                word(&check["outcome"]),
                word(&check["fix"]),
            ));
        }
    }
    found
}

#[track_caller]
fn outcome(output: &Output, check: &str) -> (String, String) {
    let all = checks(output);
    let found = all.iter().find(|(_, name, ..)| name == check);
    let (_, _, outcome, fix) = found.unwrap_or_else(|| panic!("no {check} in {all:#?}"));
    (outcome.clone(), fix.clone())
}

pub fn before_an_installation(bed: &Bed) {
    let ready = bed.polylog(&["check", "--pre", "-o", "json"]);
    assert_eq!(ready.status.code(), Some(0), "{}", text(&ready.stdout));
    let clerk = bed.polylog(&["check", "--pre", "--as=clerk", "-o", "json"]);
    assert_eq!(clerk.status.code(), Some(1));
    assert_eq!(outcome(&clerk, "right").0, "failed");
    let none = bed.polylog(&["check", "-o", "json"]);
    assert_eq!(none.status.code(), Some(1));
    assert_eq!(outcome(&none, "operators").0, "failed");
    assert_eq!(outcome(&none, "eventstores.polylog.dev").0, "failed");
    let nowhere = bed.polylog(&["check", "--context=nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1), "{}", text(&nowhere.stdout));
    let dead = bed.dead_cluster();
    let unreachable = bed.polylog(&["check", &format!("--kubeconfig={}", dead.path().display())]);
    assert_eq!(unreachable.status.code(), Some(3), "{}", text(&unreachable.stdout));
}

pub fn after_an_installation(bed: &Bed) {
    let broken = bed.polylog(&["check", "-o", "json"]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(outcome(&broken, "eventstores.polylog.dev").0, "passed", "{}", text(&broken.stdout));
    for check in
        ["Deployment", "leader", "webhook", "webhook's certificate", "webhook's endpoints", "Secrets"]
    {
        assert_eq!(outcome(&broken, check).0, "failed", "{check}");
    }
    for check in ["ApprovalRequired", "claim"] {
        assert_eq!(outcome(&broken, check).0, "warning", "{check}");
    }

    // each fix
    let (_, fix) = outcome(&broken, "Secrets");
    let words: Vec<&str> = fix.split_whitespace().skip(1).collect();
    bed.kubectl(&words);
    let pem = include_bytes!("../../src/kube/check/certificates.pem");
    let bundle = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem);
    let mut webhook = bed.webhook.clone();
    webhook["webhooks"][0]["clientConfig"]["caBundle"] = bundle.as_str().into();
    bed.apply(&webhook);
    let secret = json!({ "data": { "tls.crt": bundle } }).to_string();
    bed.kubectl(&[
        "patch",
        "secret",
        "polylog-webhook",
        "--namespace=ops",
        "--type=merge",
        "--patch",
        &secret,
    ]);
    let now = jiff::Timestamp::now();
    bed.apply(&json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "polylog-operator", "namespace": "ops" },
        "spec": { "holderIdentity": "polylog-operator-a", "renewTime": format!("{now:.6}") },
    }));
    let claim = |holder: &str| {
        bed.apply(&json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "polylog-installation", "namespace": "shop" },
            "spec": { "holderIdentity": holder, "renewTime": format!("{now:.6}"), "leaseDurationSeconds": 540 },
        }));
    };
    claim("ops/polylog-operator");
    // as a kubelet would
    let pods = until("the operator's pods", || Some(bed.list("pods", "ops")).filter(|pods| pods.len() == 2));
    for (index, pod) in pods.iter().enumerate() {
        let address = format!("10.9.0.{}", index + 1);
        let name = pod["metadata"]["name"].as_str().expect("a name");
        let ready =
            json!({ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let status = json!({
            "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }], "conditions": [ready],
        });
        bed.set_status("pod", name, "ops", &status);
    }
    // a pod without a node is in no slice that a controller makes
    bed.apply(&json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": "polylog-webhook-1", "namespace": "ops",
            "labels": { "kubernetes.io/service-name": "polylog-webhook" },
        },
        "endpoints": [{ "addresses": ["10.9.0.1"], "conditions": { "ready": true } }],
        "ports": [{ "name": "webhook", "port": 9443 }],
    }));
    let status = json!({
        "plan": null, "conditions": [condition("Ready", "True", "InSync"), condition("Available", "True", "Serving")],
    });
    bed.set_status("eventstore", "payments", "shop", &status);
    let well = until("healthy installation", || {
        let output = bed.polylog(&["check", "-o", "json"]);
        output.status.success().then_some(output)
    });
    let all = checks(&well);
    assert!(all.iter().all(|(_, _, outcome, _)| outcome == "passed"), "{all:#?}");

    // who may see less is told what could not be looked at, and nothing failed
    let viewer = bed.polylog(&["check", "--as=viewer", "-o", "json"]);
    assert_eq!(viewer.status.code(), Some(0), "{}", text(&viewer.stdout));
    assert_eq!(outcome(&viewer, "operators").0, "unknown");
    assert_eq!(outcome(&viewer, "Ready").0, "passed");

    // another installation was there first
    claim("elsewhere/polylog-operator");
    let taken = bed.polylog(&["check", "-o", "json"]);
    assert_eq!((taken.status.code(), outcome(&taken, "claim").0), (Some(1), "failed".into()));
    claim("ops/polylog-operator");

    // where labels decide, a namespace without it is nobody's
    let set = |variable: &str| {
        bed.kubectl(&["set", "env", "deployment/polylog-operator", "--namespace=ops", variable]);
    };
    set("POLYLOG_WATCH_LABELLED=true");
    let unlabelled = bed.polylog(&["check", "-o", "json"]);
    assert_eq!(outcome(&unlabelled, "operator").0, "failed", "{}", text(&unlabelled.stdout));
    let (_, fix) = outcome(&unlabelled, "operator");
    bed.kubectl(&fix.split_whitespace().skip(1).collect::<Vec<_>>());
    let given = checks(&bed.polylog(&["check", "-o", "json"]));
    assert!(given.iter().all(|(_, check, ..)| check != "operator"), "{given:#?}");
    set("POLYLOG_WATCH_LABELLED-");

    // a second one that looks after everything
    let mut other = bed.list("deployments", "ops").remove(0);
    other["metadata"] =
        json!({ "name": "second", "namespace": "shop", "labels": other["metadata"]["labels"] });
    other["spec"]["replicas"] = 0.into();
    bed.apply(&other);
    let overlap = bed.polylog(&["check", "-o", "json"]);
    assert_eq!((overlap.status.code(), outcome(&overlap, "overlap").0), (Some(1), "failed".into()));
    let people = bed.polylog(&["check"]);
    assert!(text(&people.stdout).contains("FAILED   overlap"), "{}", text(&people.stdout));
    done(&bed.polylog(&["status", "payments"]));
}
