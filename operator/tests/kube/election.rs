use std::process::Command;

use serde_json::json;

use crate::bed::{Namespace, Operator, POSTGRES};

#[test]
fn one_of_two_leads_and_the_other_follows_when_it_is_gone() {
    let namespace = Namespace::new("elected", true);
    let first = Operator::named(&namespace, "operator-1", 600);
    first.until_logged("leading");
    let second = Operator::named(&namespace, "operator-2", 600);
    second.until_logged("operator_started");
    let lease = namespace.get("lease", "polylog-operator");
    assert!(lease["spec"]["holderIdentity"].as_str().expect("a name").starts_with("operator-1_"));
    assert_eq!(second.metric("polylog_operator_leads"), 0);
    assert_eq!(first.metric("polylog_operator_leads"), 1);

    // without a word: the other one waits until the Lease is over
    first.kill();
    second.until_logged("\"leading\"");
    let lease = namespace.get("lease", "polylog-operator");
    assert!(lease["spec"]["holderIdentity"].as_str().expect("a name").starts_with("operator-2_"));
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
    let database = POSTGRES.create_database();
    namespace.secret("payments", &POSTGRES.url(&database));
    namespace.store("payments", json!({}));
    namespace.until_told("payments", "Provisioned", "True", "UpToDate");

    // a leader that is told to stop hands over
    let mut second = second;
    let ended = Command::new("kill").args(["-TERM", &second.id().to_string()]).status().expect("kill");
    assert!(ended.success());
    assert!(second.ended().success(), "{}", second.log());
    assert_eq!(namespace.get("lease", "polylog-operator")["spec"]["holderIdentity"], "");
}

#[test]
fn a_leader_whose_lease_is_taken_ends() {
    let namespace = Namespace::new("deposed", true);
    let mut operator = Operator::start(&namespace, 600);
    operator.until_logged("\"leading\"");
    let patch = json!({ "spec": { "holderIdentity": "somebody", "leaseTransitions": 9 } }).to_string();
    namespace.kubectl(&["patch", "lease", "polylog-operator", "--type=merge", "-p", &patch], "");
    assert!(!operator.ended().success(), "it must not go on");
    assert!(operator.log().contains("leading_ended"), "{}", operator.log());
}
