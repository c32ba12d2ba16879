use polylog_crds::{
    manifests::read_texts,
    validate::{Capabilities, Severity, validate},
};
use serde_json::{Value, json};

use crate::bed::{Namespace, Operator, POSTGRES, condition};

const MADE: [(&str, &str); 6] = [
    ("configmap", "polylog-payments"),
    ("serviceaccount", "polylog-payments"),
    ("service", "polylog-payments"),
    ("networkpolicy", "polylog-payments"),
    ("poddisruptionbudget", "polylog-payments"),
    ("deployment", "polylog-payments"),
];

fn versions(namespace: &Namespace) -> Vec<(String, Value)> {
    let mut versions: Vec<_> = MADE
        .into_iter()
        .chain([("eventstore", "payments")])
        .map(|(kind, name)| {
            (kind.to_owned(), namespace.get(kind, name)["metadata"]["resourceVersion"].clone())
        })
        .collect();
    for event in namespace.list("events.events.k8s.io") {
        versions.push((event["metadata"]["name"].to_string(), event["metadata"]["resourceVersion"].clone()));
    }
    versions
}

fn tables(database: &str, schema: &str) -> String {
    let sql = format!(
        "SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}' AND tablename LIKE 'polylog_%'"
    );
    POSTGRES.execute(database, &sql)
}

#[test]
fn a_store_that_is_applied_gets_its_tables_its_configuration_and_its_gateway() {
    let namespace = Namespace::new("applied", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({}));
    let operator = Operator::start(&namespace, 600);
    let store = namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    assert_eq!(tables(&database, "payments"), "6");
    let log = POSTGRES.execute(&database, "SELECT log FROM payments.polylog_head");
    assert_eq!(store["status"]["storeId"], json!(log));
    assert_eq!(condition(&store, "Valid")["status"], "True");
    assert_eq!(condition(&store, "Available")["status"], "Unknown", "no node runs a gateway here");
    assert_eq!(condition(&store, "Ready")["status"], "Unknown");
    assert_eq!(store["status"]["strategy"]["type"], "Priority");
    assert_eq!(store["status"]["sources"][0]["state"], "InSync");
    assert_eq!(store["status"]["plan"]["phase"], "Applied");
    for (kind, name) in MADE {
        let object = namespace.until(kind, name, |object| !object.is_null());
        let owner = &object["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], store["metadata"]["uid"], "{kind}");
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "polylog-operator");
    }

    // what the pods are given is what they can read, and names the log
    let map = namespace.get("configmap", "polylog-payments");
    let text = map["data"]["eventstore.yaml"].as_str().expect("a manifest");
    assert!(text.contains(&log), "{text}");
    let manifests = read_texts([(std::path::Path::new("eventstore.yaml"), text)]).expect("readable");
    for capabilities in [Capabilities::GATEWAY, Capabilities::SIDECAR] {
        let findings = validate(&manifests, &capabilities, &Default::default());
        assert!(findings.iter().all(|found| found.severity != Severity::Refused), "{findings:?}");
    }
    let events = namespace.list("events.events.k8s.io");
    let reasons: Vec<&Value> = events.iter().map(|event| &event["reason"]).collect();
    assert!(reasons.contains(&&json!("PlanApplied")) && reasons.contains(&&json!("Accepted")), "{reasons:?}");
    let columns = namespace.kubectl(&["get", "eventstore", "payments"], "");
    assert!(columns.contains("Unknown") && columns.contains("1/1"), "{columns}");

    // another process takes over, looks at everything again, and changes nothing
    let before = versions(&namespace);
    operator.kill();
    let operator = Operator::start(&namespace, 1);
    operator.until_logged("leading");
    let begin = operator.sum("polylog_operator_reconciles_total");
    namespace
        .until("eventstore", "payments", |_| operator.sum("polylog_operator_reconciles_total") >= begin + 10);
    assert_eq!(versions(&namespace), before);
    // and once it knows them it does not even ask
    let writes = operator.sum("polylog_operator_writes_total");
    let begin = operator.sum("polylog_operator_reconciles_total");
    namespace
        .until("eventstore", "payments", |_| operator.sum("polylog_operator_reconciles_total") >= begin + 5);
    assert_eq!(operator.sum("polylog_operator_writes_total"), writes);
}

#[test]
fn a_store_that_is_suspended_is_left_alone_until_it_is_not() {
    let namespace = Namespace::new("suspended", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({ "suspend": true }));
    let _operator = Operator::start(&namespace, 1);
    namespace.until_told("payments", "Reconciling", "False", "Suspended");
    assert_eq!(tables(&database, "payments"), "0");
    assert!(namespace.get("configmap", "polylog-payments").is_null());
    namespace.store("payments", json!({ "suspend": false }));
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    assert_eq!(tables(&database, "payments"), "6");
}

#[test]
fn a_strategy_says_who_uses_it_and_its_change_reaches_the_mount() {
    let namespace = Namespace::new("strategies", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    let strategy = |spec: Value| {
        json!({
            "apiVersion": "polylog.dev/v1alpha1", "kind": "ReplicationStrategy", "metadata": { "name": "first" },
            "spec": spec,
        })
    };
    let _operator = Operator::start(&namespace, 600);
    // in the wrong order: the store comes first
    namespace.store("payments", json!({ "strategyRef": { "name": "first" } }));
    namespace.until_told("payments", "Valid", "False", "InvalidReference");
    namespace.apply(&strategy(json!({ "type": "Priority", "ackTimeout": "3s" })));
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
    namespace.until("replicationstrategy", "first", |strategy| {
        strategy["status"]["usedBy"] == json!(["payments"])
            && condition(strategy, "Valid")["status"] == "True"
    });
    namespace.apply(&strategy(json!({ "type": "Priority", "ackTimeout": "4s" })));
    namespace.until("configmap", "polylog-payments", |map| {
        map["data"]["strategy.yaml"].as_str().is_some_and(|text| text.contains("ackTimeout: 4s"))
    });
    // a name that its store does not have
    namespace.apply(&strategy(json!({ "type": "Priority", "order": ["elsewhere"] })));
    namespace.until("replicationstrategy", "first", |strategy| {
        condition(strategy, "Valid")["reason"] == "InvalidReference"
    });
    let store = namespace.until_told("payments", "Valid", "False", "InvalidReference");
    assert_eq!(condition(&store, "Provisioned")["status"], "True", "the tables stand");
    let map = namespace.get("configmap", "polylog-payments");
    assert!(
        map["data"]["strategy.yaml"].as_str().expect("there").contains("4s"),
        "the last that was right stays"
    );
}

#[test]
fn a_projection_is_kept_and_told_that_nothing_runs_it() {
    let namespace = Namespace::new("projections", true);
    let _operator = Operator::start(&namespace, 600);
    namespace.apply(&json!({
        "apiVersion": "polylog.dev/v1alpha1", "kind": "Projection", "metadata": { "name": "status" },
        "spec": {
            "eventStoreRef": { "name": "payments" }, "version": "v1",
            "targets": [{ "source": "ledger", "name": "payment_status" }],
            "key": "event.aggregateId", "fields": [{ "name": "status", "type": "String" }],
            "rules": [{ "types": ["Paid"], "const": { "status": "paid" } }],
        },
    }));
    let projection = namespace.until("projection", "status", |projection| {
        condition(projection, "Ready")["reason"] == "NotSupported"
    });
    assert_eq!(condition(&projection, "Valid")["status"], "True");
}

#[test]
fn pods_are_counted_and_one_that_lacks_what_is_mounted_now_has_to_be_restarted() {
    let namespace = Namespace::new("pods", true);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.secret("renamed", &POSTGRES.url(&database));
    namespace.kubectl(&["create", "serviceaccount", "default"], "");
    namespace.store("payments", json!({}));
    let store = polylog_crds::event_store::EventStoreSpec::clone(
        &serde_json::from_value::<polylog_crds::EventStore>(crate::bed::store_of("payments", json!({})))
            .expect("a store")
            .spec,
    );
    let key = polylog_crds::manifests::ObjectKey {
        namespace: "pods".parse().expect("a name"),
        name: "payments".parse().expect("a name"),
    };
    let stores = polylog_injection::Stores::from_iter([(
        key.clone(),
        polylog_injection::Store::new("payments", &store),
    )]);
    let labels = json!({ "labels": { "polylog.dev/eventstore": "payments" } });
    let mark =
        polylog_injection::Mark::wanted(&key.namespace, &labels, &stores).expect("right").expect("one");
    for (name, annotations) in
        [("with", json!({ "polylog.dev/injected": mark.to_string() })), ("without", json!({}))]
    {
        namespace.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": labels["labels"], "annotations": annotations },
            "spec": { "containers": [{ "name": "app", "image": "app" }] },
        }));
    }
    let _operator = Operator::start(&namespace, 600);
    let store = namespace.until("eventstore", "payments", |store| store["status"]["pods"]["selected"] == 2);
    assert_eq!(store["status"]["pods"]["injected"], 1);
    assert_eq!(store["status"]["pods"]["restartNeeded"], 0);
    assert_eq!(condition(&store, "SidecarsCurrent")["reason"], "RestartNeeded");
    // the address moves to another Secret, which the running pod does not mount
    let mut moved = crate::bed::store_of("payments", json!({}));
    moved["spec"]["sources"][0]["connection"]["secretRef"]["name"] = json!("renamed-db");
    namespace.apply(&moved);
    namespace.until("eventstore", "payments", |store| store["status"]["pods"]["restartNeeded"] == 1);
}
