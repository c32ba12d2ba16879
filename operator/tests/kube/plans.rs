use serde_json::{Value, json};

use crate::bed::{Namespace, Operator, POSTGRES, condition};

const ANNOTATION: &str = "polylog.dev/approve-plan";

fn hash(store: &Value) -> String {
    store["status"]["plan"]["hash"].as_str().expect("a hash").to_owned()
}

fn approve(namespace: &Namespace, hash: &str) {
    let annotation = format!("{ANNOTATION}={hash}");
    namespace.kubectl(&["annotate", "eventstore", "payments", "--overwrite", &annotation], "");
}

fn has_index(database: &str) -> bool {
    POSTGRES.execute(database, "SELECT count(*) FROM pg_indexes WHERE indexname = 'polylog_mine'") == "1"
}

#[test]
fn a_destructive_plan_waits_for_its_own_hash_and_runs_then() {
    let namespace = Namespace::new("destructive", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({}));
    let operator = Operator::start(&namespace, 1);
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");

    // drift: an index that no manifest asks for
    POSTGRES.execute(&database, "CREATE INDEX polylog_mine ON payments.polylog_events (type, id)");
    let store = namespace.until_told("payments", "ApprovalRequired", "True", "PlanWaits");
    assert_eq!(condition(&store, "Ready")["reason"], "ApprovalRequired");
    assert_eq!(store["status"]["plan"]["phase"], "Pending");
    assert_eq!(store["status"]["plan"]["steps"][0]["class"], "Destructive");
    let map = namespace.until("configmap", "polylog-payments-plan", |map| !map.is_null());
    assert_eq!(map["data"]["hash"], json!(hash(&store)));
    assert!(map["data"]["plan.sql"].as_str().expect("SQL").contains("DROP INDEX"), "{map:#}");
    approve(&namespace, "0123456789abcdef");
    // a second one: the plan is another, and so is its hash
    POSTGRES.execute(&database, "CREATE INDEX polylog_other ON payments.polylog_events (type, id, version)");
    let first = hash(&store);
    namespace.until("eventstore", "payments", |store| {
        store["status"]["plan"]["hash"].as_str().is_some_and(|now| now != first)
    });
    approve(&namespace, &first);
    let begin = operator.sum("polylog_operator_reconciles_total");
    let store = namespace.until("eventstore", "payments", |store| {
        operator.sum("polylog_operator_reconciles_total") > begin + 3
            && store["status"]["plan"]["phase"] == "Pending"
    });
    assert!(has_index(&database), "the plan of that hash is no more");

    approve(&namespace, &hash(&store));
    let store = namespace.until_told("payments", "ApprovalRequired", "False", "NothingWaits");
    assert!(!has_index(&database));
    assert_eq!(store["status"]["plan"]["phase"], "Applied");
    namespace.until("configmap", "polylog-payments-plan", Value::is_null);
    let notes: Vec<String> =
        namespace.list("events.events.k8s.io").iter().map(|event| event["note"].to_string()).collect();
    assert!(notes.iter().any(|note| note.contains("approved by kubectl-annotate at ")), "{notes:?}");
}

#[test]
fn a_store_that_is_only_planned_or_provisioned_elsewhere_is_never_written() {
    let namespace = Namespace::new("planned", true);
    for mode in ["PlanOnly", "External"] {
        let store = mode.to_lowercase();
        let database = POSTGRES.create_database();
        namespace.secret(&store, &POSTGRES.url(&database));
        namespace.store(&store, json!({ "provisioning": { "mode": mode } }));
        let operator = Operator::start(&namespace, 1);
        let reason = if mode == "External" { "SchemaMissing" } else { "PlanOnly" };
        let told = namespace.until_told(&store, "Provisioned", "False", reason);
        // an approval is for a plan that may be carried out
        let annotation = format!("{ANNOTATION}={}", hash(&told));
        namespace.kubectl(&["annotate", "eventstore", &store, &annotation], "");
        let begin = operator.sum("polylog_operator_reconciles_total");
        namespace
            .until("eventstore", &store, |_| operator.sum("polylog_operator_reconciles_total") > begin + 3);
        let schemas = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{store}'");
        assert_eq!(POSTGRES.execute(&database, &schemas), "0");
        assert_eq!(told["status"]["storeId"], Value::Null);
        // an administrator carries it out, and it is noticed
        let map = namespace.get("configmap", &format!("polylog-{store}-plan"));
        POSTGRES.execute(&database, map["data"]["plan.sql"].as_str().expect("SQL"));
        let done = namespace.until_told(&store, "Provisioned", "True", "UpToDate");
        assert!(done["status"]["storeId"].is_string());
        drop(operator);
    }
}
