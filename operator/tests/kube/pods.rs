use serde_json::json;

use crate::bed::{Namespace, Operator, PATIENCE};

#[test]
fn a_pod_whose_store_is_not_there_is_told_why_it_waits() {
    let namespace = Namespace::new("lost", true);
    namespace.kubectl(&["create", "serviceaccount", "default"], "");
    let pod = |name: &str, store: &str| {
        namespace.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": { "polylog.dev/eventstore": store } },
            "spec": { "containers": [{ "name": "app", "image": "app" }] },
        }));
    };
    namespace.store("known", json!({}));
    let operator = Operator::start(&namespace, 600);
    operator.until_logged("leading");
    pod("fine", "known");
    pod("lost", "payment");
    let told = || {
        let events = namespace.list("events.events.k8s.io");
        events.into_iter().filter(|event| event["reason"] == "EventStoreUnknown").collect::<Vec<_>>()
    };
    let begin = std::time::Instant::now();
    while told().is_empty() {
        assert!(begin.elapsed() < PATIENCE, "nobody is told");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // one that comes after them is looked at after them
    pod("last", "payment");
    while told().len() < 2 {
        assert!(begin.elapsed() < PATIENCE, "{:#?}", told());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for event in told() {
        let name = event["regarding"]["name"].as_str().expect("a name").to_owned();
        assert!(["lost", "last"].contains(&name.as_str()), "{event:#}");
        assert_eq!((&event["regarding"]["kind"], &event["type"]), (&json!("Pod"), &json!("Warning")));
        assert_eq!(event["regarding"]["uid"], namespace.get("pod", &name)["metadata"]["uid"]);
        assert!(event["note"].as_str().expect("words").contains("no EventStore payment in namespace lost"));
    }
}
