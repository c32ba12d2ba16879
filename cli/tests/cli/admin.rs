use serde_json::Value;

use crate::support::{Dev, outcome};

#[test]
fn a_store_is_verified_and_what_is_wrong_is_an_exit_code() {
    let dev = Dev::start();
    let lines: String = (0..20).map(|index| format!("{{\"type\":\"T\",\"data\":{index}}}\n")).collect();
    assert!(dev.feed(&["append", "Order-1", "-e", "any", "--events", "-"], &lines).status.success());
    let printed = dev.run(&["verify"]);
    assert!(printed.contains("SOURCE") && printed.contains("ledger"), "{printed}");
    let status: Value = serde_json::from_str(&dev.run(&["verify", "-o", "json"])).expect("JSON");
    let verified = &status["sources"][0]["verified"];
    assert_eq!((&verified["through"], &verified["missing"]), (&verified["end"], &Value::from(0)), "{status}");
    assert_eq!(status["consistencyPercent"], "100.00");
    let asked: Value = serde_json::from_str(&dev.run(&["verify", "--no-wait", "-o", "json"])).expect("JSON");
    assert_eq!(asked["request"], 3);

    let data = dev.folder.path().join("data");
    let files = std::fs::read_dir(&data).expect("a folder").flatten().map(|entry| entry.path());
    let file = files.map(|folder| folder.join("ledger.db")).find(|file| file.exists()).expect("a file");
    let file = rusqlite::Connection::open(file).expect("a database");
    file.busy_timeout(std::time::Duration::from_secs(20)).expect("a timeout");
    file.execute("UPDATE polylog_events SET data = CAST('77' AS BLOB) WHERE position = 9", [])
        .expect("a row");
    let (code, stdout, _) = outcome(&dev.command(&["verify", "-o", "json"]).output().expect("it starts"));
    let status: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &status["sources"][0]["verified"]["differing"]), (1, &Value::from(1)), "{status}");
    assert_eq!(status["consistencyPercent"], "95.65", "one of 23");
}

#[test]
fn one_source_is_its_own_primary_and_has_no_quarantine() {
    let dev = Dev::start();
    assert_eq!(dev.run(&["switch", "ledger"]), "ledger is primary of term 1\n");
    let (code, _, stderr) = outcome(&dev.command(&["switch", "other"]).output().expect("it starts"));
    assert!(code == 1 && stderr.contains("invalid_request"), "{code} {stderr}");
    let (code, _, stderr) =
        outcome(&dev.command(&["failover", "--stopped", "ledger"]).output().expect("it starts"));
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(dev.run(&["quarantine", "-o", "ndjson"]), "");
    assert_eq!(dev.run(&["quarantine", "-o", "json"]), "[]\n");
}
