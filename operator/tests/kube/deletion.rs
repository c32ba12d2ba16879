use serde_json::{Value, json};

use crate::bed::{Namespace, Operator, POSTGRES, condition, store_of};

const FINALIZER: &str = "polylog.dev/wipe";

fn delete(namespace: &Namespace, store: &str) {
    namespace.kubectl(&["delete", "eventstore", store, "--wait=false"], "");
}

#[track_caller]
fn is_gone(namespace: &Namespace, store: &str) {
    namespace.until("eventstore", store, Value::is_null);
}

fn is_kept(store: &Value) -> bool {
    let finalizers = store["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| finalizers.contains(&json!(FINALIZER)))
}

fn tables(database: &str, schema: &str) -> String {
    let sql = "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = ";
    POSTGRES.execute(database, &format!("{sql}'{schema}'"))
}

fn pod(namespace: &Namespace, name: &str, labels: Value) {
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": labels, "annotations": { "polylog.dev/injected": "0.1.0/x" } },
        "spec": { "containers": [{ "name": "app", "image": "app" }] },
    }));
}

#[test]
fn a_store_that_asks_for_it_is_wiped_once_nobody_uses_it() {
    let namespace = Namespace::new("wiped", true);
    namespace.kubectl(&["create", "serviceaccount", "default"], "");
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    let operator = Operator::start(&namespace, 600);
    namespace.store("payments", json!({ "deletionPolicy": "Delete" }));
    let store = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    assert!(is_kept(&store), "{store:#}");
    let deployment = |wanted: u64| {
        let is_so = move |found: &Value| found["spec"]["replicas"] == wanted;
        namespace.until("deployment", "polylog-payments", is_so)
    };
    deployment(1);

    // the finalizer follows the policy
    namespace.store("payments", json!({ "deletionPolicy": "Retain" }));
    namespace.until("eventstore", "payments", |store| !is_kept(store));
    namespace.store("payments", json!({ "deletionPolicy": "Delete" }));
    namespace.until("eventstore", "payments", is_kept);
    // what the operator cannot wipe it does not promise to
    namespace.secret("external", &POSTGRES.url(&database));
    namespace
        .store("external", json!({ "deletionPolicy": "Delete", "provisioning": { "mode": "External" } }));
    let external = namespace.until_told("external", "Valid", "False", "InvalidValue");
    assert!(condition(&external, "Valid")["message"].as_str().expect("words").contains("set Retain"));
    delete(&namespace, "external");
    is_gone(&namespace, "external");

    // a table of somebody else in the same schema, a pod with a sidecar, and one of the gateway that ends slowly
    POSTGRES.execute(&database, "CREATE TABLE payments.invoices (id int)");
    pod(&namespace, "checkout", json!({ "polylog.dev/eventstore": "payments" }));
    let labels =
        json!({ "app.kubernetes.io/name": "polylog-gateway", "app.kubernetes.io/instance": "payments" });
    pod(&namespace, "gateway", labels);
    delete(&namespace, "payments");
    let waits = namespace.until_told("payments", "Reconciling", "True", "Draining");
    let message = condition(&waits, "Reconciling")["message"].as_str().expect("words").to_owned();
    assert!(message.contains("(checkout): end them") && message.contains("force-delete"), "{message}");
    assert_eq!(condition(&waits, "Ready")["reason"], "Deleting");
    deployment(0);
    assert!(tables(&database, "payments").contains("polylog_events"));
    // another process goes on where this one ended
    operator.kill();
    let _operator = Operator::start(&namespace, 600);
    namespace.kubectl(&["delete", "pod", "checkout", "--force"], "");
    namespace.until("eventstore", "payments", |store| {
        condition(store, "Reconciling")["message"]
            .as_str()
            .is_some_and(|words| words.contains("of the gateway"))
    });
    assert!(tables(&database, "payments").contains("polylog_events"));
    namespace.kubectl(&["delete", "pod", "gateway", "--force"], "");
    is_gone(&namespace, "payments");
    assert_eq!(tables(&database, "payments"), "invoices");
    let events = namespace.list("events.events.k8s.io");
    assert!(events.iter().any(|event| event["reason"] == "Wiped"), "{events:#?}");
}

#[test]
fn a_wipe_that_cannot_be_says_why_and_a_store_can_be_let_go_without_it() {
    let namespace = Namespace::new("unwiped", true);
    let database = POSTGRES.create_database();
    let url = POSTGRES.url(&database);
    let operator = Operator::start(&namespace, 600);
    let stores = ["away", "forbidden", "swapped", "retained"];
    for store in stores {
        namespace.secret(store, &url);
        let policy = if store == "retained" { "Retain" } else { "Delete" };
        namespace.store(store, json!({ "deletionPolicy": policy }));
    }
    for store in stores {
        let object = namespace.until_told(store, "Provisioned", "True", "UpToDate");
        assert_eq!(is_kept(&object), store != "retained", "{store}");
    }

    // the database is away: it is tried again, and nothing is lost
    namespace.secret("away", "postgres://postgres:secret@127.0.0.1:9/shop");
    delete(&namespace, "away");
    let away = namespace.until_told("away", "Reconciling", "True", "Unreachable");
    assert_eq!(condition(&away, "Stalled")["status"], "False");
    namespace.secret("away", &url);
    is_gone(&namespace, "away");
    assert_eq!(tables(&database, "away"), "");

    // another log stands there now
    let other = "0198f2c0-0000-7000-8000-000000000001";
    POSTGRES.execute(&database, &format!("UPDATE swapped.polylog_head SET log = '{other}'"));
    delete(&namespace, "swapped");
    let swapped = namespace.until_told("swapped", "Stalled", "True", "IdentityConflict");
    assert!(
        condition(&swapped, "Stalled")["message"].as_str().expect("words").contains("nothing was dropped")
    );
    namespace.kubectl(&["annotate", "eventstore", "swapped", "polylog.dev/force-delete=true"], "");
    is_gone(&namespace, "swapped");
    assert!(tables(&database, "swapped").contains("polylog_events"), "it stays");

    // the operator may read no Secret any more
    namespace.kubectl(&["delete", "rolebinding", "polylog-secret-reader"], "");
    delete(&namespace, "forbidden");
    let forbidden = namespace.until_told("forbidden", "Stalled", "True", "SecretForbidden");
    let message = condition(&forbidden, "Stalled")["message"].as_str().expect("words").to_owned();
    assert!(message.contains("create rolebinding polylog-secret-reader"), "{message}");
    namespace.bind("polylog-secret-reader");
    is_gone(&namespace, "forbidden");
    assert_eq!(tables(&database, "forbidden"), "");

    // a log that another store has is not dropped with the one that claims it
    let mut twin = store_of("twin", json!({ "deletionPolicy": "Delete" }));
    twin["spec"]["sources"][0]["connection"]["secretRef"]["name"] = json!("retained-db");
    twin["spec"]["sources"][0]["postgres"]["schema"] = json!("retained");
    namespace.apply(&twin);
    namespace.until_told("twin", "Valid", "False", "IdentityConflict");
    let log = namespace.get("eventstore", "retained")["status"]["storeId"].clone();
    let claim = json!({ "status": { "storeId": log } }).to_string();
    namespace.kubectl(
        &["patch", "eventstore", "twin", "--subresource=status", "--type=merge", "--patch", &claim],
        "",
    );
    delete(&namespace, "twin");
    namespace.until_told("twin", "Ready", "False", "Deleting");
    let twin = namespace.until_told("twin", "Stalled", "True", "IdentityConflict");
    let message = condition(&twin, "Stalled")["message"].as_str().expect("words").to_owned();
    assert!(message.contains("EventStore unwiped/retained too: nothing was dropped"), "{message}");
    namespace.kubectl(&["annotate", "eventstore", "twin", "polylog.dev/force-delete=true"], "");
    is_gone(&namespace, "twin");

    // what is told to rest, or is not the operator's to change, stays until somebody says otherwise
    for (store, fields, reason) in [
        ("resting", json!({ "suspend": true }), "Suspended"),
        ("handed", json!({ "provisioning": { "mode": "External" } }), "External"),
    ] {
        namespace.secret(store, &url);
        namespace.store(store, json!({ "deletionPolicy": "Delete" }));
        namespace.until_told(store, "Provisioned", "True", "UpToDate");
        let mut fields = fields;
        fields["deletionPolicy"] = json!("Delete");
        namespace.store(store, fields);
        delete(&namespace, store);
        namespace.until_told(store, "Ready", "False", "Deleting");
        namespace.until_told(store, "Stalled", "True", reason);
        assert!(tables(&database, store).contains("polylog_events"), "{store}");
        namespace.store(store, json!({ "deletionPolicy": "Delete" }));
        is_gone(&namespace, store);
        assert_eq!(tables(&database, store), "", "{store}");
    }

    // one that is retained goes without an operator
    operator.kill();
    namespace.kubectl(&["delete", "eventstore", "retained", "--timeout=20s"], "");
    assert!(tables(&database, "retained").contains("polylog_events"));
}
