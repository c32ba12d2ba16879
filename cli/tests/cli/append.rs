use serde_json::{Value, json};

use crate::support::{Dev, outcome};

#[test]
fn an_append_is_answered_with_its_place() {
    let dev = Dev::start();
    let first = dev.run(&[
        "append",
        "Payment-p1",
        "-e",
        "noStream",
        "-t",
        "Paid",
        "-d",
        r#"{"a": 1e400}"#,
        "-m",
        r#"{"m":-0}"#,
    ]);
    assert_eq!(first, "appended: Payment-p1 version 1, position 4\n");
    let second = dev.run(&["append", "Payment-p1", "-e", "1", "-t", "Paid", "-o", "json"]);
    let second: Value = serde_json::from_str(&second).expect("JSON");
    assert_eq!((&second["firstVersion"], &second["repeated"]), (&json!(2), &json!(false)));
    let line = dev.run(&["read", "Payment-p1", "-n", "1", "-o", "ndjson"]);
    assert!(line.contains(r#""data":{"a": 1e400}"#) && line.contains(r#""metadata":{"m":-0"#), "{line}");
}

#[test]
fn the_same_id_or_key_again_is_the_same_append() {
    let dev = Dev::start();
    let id = "00000000-0000-0000-0000-000000000007";
    for options in [["--id", id], ["--idempotency-key", "k1"]] {
        let append = [&["append", "s", "-e", "any", "-t", "T"], &options[..]].concat();
        assert!(dev.run(&append).starts_with("appended: s version"));
        assert!(dev.run(&append).starts_with("was appended before: s version"));
    }
    let other = ["append", "s", "-e", "any", "-t", "T", "-d", "1", "--id", id];
    let (code, _, stderr) = outcome(&dev.command(&other).output().expect("it starts"));
    assert!(code == 1 && stderr.starts_with("error: id_conflict: "), "{stderr}");
    assert_eq!(dev.events(&["s"]).len(), 2);
}

#[test]
fn several_events_come_one_a_line() {
    let dev = Dev::start();
    let lines = "{\"type\":\"A\",\"data\":[1, 2]}\n{\"type\":\"B\",\"dataBase64\":\"/w==\",\"contentType\":\"image/png\"}\n";
    let (code, stdout, stderr) = outcome(&dev.feed(&["append", "s", "-e", "0", "--events", "-"], lines));
    assert_eq!((code, stdout.as_str()), (0, "appended: s version 1-2, position 4-5\n"), "{stderr}");
    let table = dev.run(&["read", "s"]);
    assert!(table.contains("[1, 2]") && table.contains("<image/png, 1 bytes>"), "{table}");
}

#[test]
fn a_conflict_tells_what_was_missed() {
    let dev = Dev::start();
    dev.run(&["append", "s", "-e", "any", "-t", "Paid", "-d", "7"]);
    let again = ["append", "s", "-e", "noStream", "-t", "Paid", "--missed", "5"];
    let (code, stdout, stderr) = outcome(&dev.command(&again).output().expect("it starts"));
    assert_eq!((code, stdout.as_str()), (1, ""));
    for part in
        ["error: version_conflict: ", "written: nothing", "s expected noStream, is at 1", "missed:", "next:"]
    {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    let json = [&again[..], &["-o", "json"]].concat();
    let (_, _, stderr) = outcome(&dev.command(&json).output().expect("it starts"));
    let problem: Value = serde_json::from_str(&stderr).expect("one JSON document");
    assert_eq!(problem["conflicts"][0]["missed"][0]["data"], json!(7));
}
