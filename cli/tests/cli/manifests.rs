use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Dev, STORE, outcome, polylog, succeed};

fn validate(content: &str, options: &[&str]) -> (i32, String, String) {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("m.yaml"), content).expect("it is written");
    let path = folder.path().display().to_string();
    outcome(&polylog(&[&["validate", &path], options].concat()).output().expect("it starts"))
}

#[test]
fn good_manifests_are_valid() {
    let (code, stdout, _) = validate(STORE, &[]);
    assert!(
        code == 0 && stdout.ends_with("valid: 1 EventStore, 0 Projection, 0 ReplicationStrategy\n"),
        "{stdout}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let unknown = format!("{STORE}  typo: 1\n");
    let (code, stdout, _) = validate(&unknown, &[]);
    assert!(
        code == 2 && stdout.contains("m.yaml:9: refused: EventStore default/shop: spec.typo: "),
        "{stdout}"
    );
    let later = format!("{STORE}  lanes: {{count: 2}}\n");
    let (code, stdout, _) = validate(&later, &["-o", "json"]);
    let report: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &report["valid"]), (2, &Value::from(false)));
    assert!(report["findings"][0]["path"].as_str().is_some_and(|path| path.contains("lanes")), "{report}");
    assert_eq!(validate("kind: [", &[]).0, 2);
    assert_eq!(outcome(&polylog(&["validate", "/nonexistent"]).output().expect("it starts")).0, 2);
}

#[test]
fn what_one_process_cannot_serve_is_refused_as_dev_refuses_it() {
    let (code, stdout, _) = validate("# nothing\n", &[]);
    assert!(code == 2 && stdout.contains("there is no EventStore (NoStore)"), "{stdout}");
    let elsewhere = STORE.replace("name: shop}", "name: shop, namespace: other}");
    assert_ne!(elsewhere, STORE);
    let (code, stdout, _) = validate(&format!("{STORE}---\n{elsewhere}"), &[]);
    assert!(
        code == 2 && stdout.contains("EventStore other/shop: has the name of default/shop: "),
        "{stdout}"
    );
}

#[test]
fn a_plan_is_what_a_first_start_does_and_nothing_afterwards() {
    let folder = TempDir::new().expect("a temporary folder");
    let store = folder.path().join("store.yaml");
    std::fs::write(&store, STORE).expect("it is written");
    let (store, data) = (store.display().to_string(), folder.path().join("data").display().to_string());
    let sql = succeed(polylog(&["plan", &store, "--data", &data]));
    assert!(
        sql.contains("-- Additive: create table") && sql.contains("CREATE TABLE polylog_events ("),
        "{sql}"
    );
    assert!(!folder.path().join("data").exists(), "a plan changes nothing");

    let dev = Dev::start();
    let store = dev.folder.path().join("store.yaml").display().to_string();
    let data = dev.folder.path().join("data").display().to_string();
    let sql = dev.run(&["plan", &store, "--data", &data]);
    assert!(sql.ends_with("-- nothing to do\n"), "{sql}");
    let plans: Value =
        serde_json::from_str(&dev.run(&["plan", &store, "--data", &data, "-o", "json"])).expect("JSON");
    assert_eq!(plans[0]["steps"], Value::Array(Vec::new()));
}
