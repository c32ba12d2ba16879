use serde_json::{Value, json};

use crate::bed::{Bed, done, text, until};

fn pod(restart: &str) -> Value {
    json!({
        "metadata": {
            "labels": { "app": "x", "polylog.dev/eventstore": "payments" },
            "annotations": { "polylog.dev/injected": "0.0.9/00000000000000aa" },
        },
        "spec": { "restartPolicy": restart, "containers": [{ "name": "app", "image": "app" }] },
    })
}

fn workload(kind: &str, name: &str, mut spec: Value) -> Value {
    let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    spec["template"] = pod(if kind == "Job" { "Never" } else { "Always" });
    if kind != "Job" {
        spec["selector"] = json!({ "matchLabels": { "app": "x" } });
    }
    json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

fn rolled(bed: &Bed, kind: &str, name: &str) -> bool {
    let object = bed.get(kind, name);
    object.pointer("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt").is_some()
}

pub fn owners_are_rolled_and_others_are_told(bed: &Bed) {
    bed.apply(&workload("Deployment", "web", json!({ "replicas": 2 })));
    bed.apply(&workload("StatefulSet", "ledger", json!({ "replicas": 1, "serviceName": "ledger" })));
    bed.apply(&workload("Job", "import", json!({})));
    let mut alone = pod("Never");
    alone["apiVersion"] = "v1".into();
    alone["kind"] = "Pod".into();
    alone["metadata"]["name"] = "debug".into();
    bed.apply(&alone);
    until("pods", || (bed.list("pods", "shop").len() == 5).then_some(()));
    until("settled Deployment and StatefulSet", || {
        let web = bed.get("deployment", "web");
        let ledger = &bed.get("statefulset", "ledger")["status"];
        let is_settled = web["status"]["updatedReplicas"] == 2 && ledger["updateRevision"].is_string();
        (is_settled && ledger["updateRevision"] == ledger["currentRevision"]).then_some(())
    });

    let shown = done(&bed.polylog(&["status", "payments", "--as=viewer"]));
    assert!(shown.contains("0.0.9, outdated  5"), "{shown}");
    let dry = done(&bed.polylog(&["restart", "payments", "--dry-run", "--as=viewer"]));
    assert!(dry.contains("deployment/web would be restarted (2 pods, sidecar: 0.0.9, outdated)"), "{dry}");
    assert!(dry.contains("statefulset/ledger would be restarted (1 pod"), "{dry}");
    let refused = bed.polylog(&["restart", "payments", "--as=viewer"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stdout).contains("deployment/web not restarted"), "{}", text(&refused.stdout));
    assert!(!rolled(bed, "deployment", "web") && !rolled(bed, "statefulset", "ledger"));

    let said = done(&bed.polylog(&["restart", "payments", "--as=editor"]));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(
        said.contains("deployment/web restarted") && said.contains("statefulset/ledger restarted"),
        "{said}"
    );
    assert!(said.contains("job/import left alone") && said.contains("pod/debug left alone"), "{said}");
    assert!(rolled(bed, "deployment", "web") && rolled(bed, "statefulset", "ledger"));
    until("second ReplicaSet", || (bed.list("replicasets", "shop").len() == 2).then_some(()));
    // the new pods wait for a node: it is not rolled once more
    let again = until("rollout that is told", || {
        let said = done(&bed.polylog(&["restart", "payments", "--as=editor"]));
        said.contains("deployment/web left alone").then_some(said)
    });
    assert!(again.contains("rolling out already"), "{again}");
    for (kind, name) in
        [("deployment", "web"), ("statefulset", "ledger"), ("job", "import"), ("pod", "debug")]
    {
        bed.kubectl(&["delete", kind, name, "--namespace=shop", "--wait=false", "--cascade=background"]);
    }
}
