use serde_json::{Value, json};

use crate::bed::{Namespace, Operator, POSTGRES};

#[test]
fn what_somebody_else_changes_or_deletes_is_made_again() {
    let namespace = Namespace::new("repaired", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({}));
    let _operator = Operator::start(&namespace, 600);
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    let service = namespace.until("service", "polylog-payments", |service| !service.is_null());
    namespace.kubectl(&["delete", "service", "polylog-payments"], "");
    namespace.until("service", "polylog-payments", |again| {
        !again.is_null() && again["metadata"]["uid"] != service["metadata"]["uid"]
    });
    let was = namespace.get("configmap", "polylog-payments")["data"].clone();
    let patch = json!({ "data": { "eventstore.yaml": "mine" } }).to_string();
    namespace.kubectl(&["patch", "configmap", "polylog-payments", "--type=merge", "-p", &patch], "");
    namespace.until("configmap", "polylog-payments", |map| map["data"] == was);
    let replicas = |object: &Value| object["spec"]["replicas"].clone();
    namespace.kubectl(&["scale", "deployment", "polylog-payments", "--replicas=7"], "");
    namespace.until("deployment", "polylog-payments", |deployment| replicas(deployment) == 1);
}
