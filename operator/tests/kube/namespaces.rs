use serde_json::{Value, json};

use crate::bed::{Namespace, Operator, POSTGRES, condition};

const LEASE: &str = "polylog-installation";

fn provisioned(namespace: &Namespace) {
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");
}

fn holder(namespace: &Namespace) -> String {
    namespace.get("lease", LEASE)["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_namespace_that_gains_the_label_is_looked_after_until_it_loses_it() {
    let ops = Namespace::new("label-ops", false);
    let (first, later) = (Namespace::new("label-first", false), Namespace::new("label-later", false));
    for namespace in [&first, &later] {
        let database = POSTGRES.create_database();
        namespace.secret("payments", &POSTGRES.url(&database));
        namespace.store("payments", json!({}));
    }
    first.label("polylog.dev/enabled=true");
    later.label("polylog.dev/enabled=false");
    let operator = Operator::of_labelled(&ops);
    provisioned(&first);
    assert_eq!(holder(&first), "label-ops/polylog-operator");
    // it was seen, and left alone
    operator.until_logged("namespace_claimed");
    assert_eq!(later.get("eventstore", "payments")["status"], Value::Null);
    assert!(later.get("lease", LEASE).is_null());

    later.label("polylog.dev/enabled=");
    provisioned(&later);
    later.label("polylog.dev/enabled-");
    // another installation may have it at once
    later.until("lease", LEASE, |lease| lease["spec"]["holderIdentity"] == "");
    let replicas = |count: u32| {
        let count = format!("--replicas={count}");
        later.kubectl(&["scale", "deployment", "polylog-payments", &count], "");
        first.kubectl(&["scale", "deployment", "polylog-payments", &count], "");
    };
    replicas(7);
    first.until("deployment", "polylog-payments", |deployment| deployment["spec"]["replicas"] == 1);
    assert_eq!(later.get("deployment", "polylog-payments")["spec"]["replicas"], 7, "not ours any more");
    later.label("polylog.dev/enabled=true");
    later.until("deployment", "polylog-payments", |deployment| deployment["spec"]["replicas"] == 1);
}

#[test]
fn of_two_installations_one_looks_after_a_namespace_and_the_other_says_so() {
    let (one, other) = (Namespace::new("claimed", true), Namespace::new("claims-too", true));
    let account = format!("{}:polylog-operator", other.name);
    for role in ["polylog-operator", "polylog-secret-reader"] {
        let name = format!("{role}-of-other");
        one.kubectl(
            &["create", "rolebinding", &name, "--clusterrole", role, "--serviceaccount", &account],
            "",
        );
    }
    let database = POSTGRES.create_database();
    one.secret("payments", &POSTGRES.url(&database));
    one.store("payments", json!({}));
    let first = Operator::start(&one, 600);
    provisioned(&one);
    let second = Operator::watching(&other, &[&one], 600);
    second.until_logged("namespace_taken");
    assert!(second.log().contains("claimed/polylog-operator"), "{}", second.log());
    let told = || {
        let events = one.list("events.events.k8s.io");
        events.into_iter().find(|event| event["reason"] == "NamespaceTaken")
    };
    let begin = std::time::Instant::now();
    let event = loop {
        if let Some(event) = told() {
            break event;
        }
        assert!(begin.elapsed() < crate::bed::PATIENCE, "nobody is told");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    let note = event["note"].as_str().expect("words").to_owned();
    // it keeps its hands off
    let before = one.get("eventstore", "payments")["metadata"]["resourceVersion"].clone();
    assert_eq!(second.sum("polylog_operator_writes_total"), 1, "only that event");
    assert_eq!(one.get("eventstore", "payments")["metadata"]["resourceVersion"], before);
    // a namespace of its own is served meanwhile
    let database = POSTGRES.create_database();
    other.secret("payments", &POSTGRES.url(&database));
    other.store("payments", json!({}));
    provisioned(&other);

    // the first installation goes, and leaves its claim: the note says what to do
    first.kill();
    let command = note.split_once("is gone: kubectl ").expect("a command").1;
    let arguments: Vec<&str> = command.split(' ').collect();
    one.kubectl(&arguments, "");
    one.until("lease", LEASE, |lease| lease["spec"]["holderIdentity"] == "claims-too/polylog-operator");
    one.store("payments", json!({ "suspend": true }));
    let store = one.until_told("payments", "Reconciling", "False", "Suspended");
    assert_eq!(condition(&store, "Provisioned")["status"], "True");
}
