use std::{io::Read, process::Stdio};

use serde_json::Value;

use crate::support::{Dev, outcome};

fn filled(events: usize) -> Dev {
    let dev = Dev::start();
    let line = |index| format!("{{\"type\":\"T{}\",\"data\":{index}}}\n", index % 2);
    let lines: String = (0..events).map(line).collect();
    assert!(dev.feed(&["append", "Order-1", "-e", "any", "--events", "-"], &lines).status.success());
    dev
}

#[test]
fn a_read_shows_a_hundred_and_says_that_there_are_more() {
    let dev = filled(101);
    let (code, stdout, stderr) =
        outcome(&dev.command(&["read", "Order-1", "-o", "ndjson"]).output().expect("it starts"));
    assert_eq!((code, stdout.lines().count()), (0, 100));
    assert_eq!(stderr, "there are more events: --limit or --all shows them\n");
    let (_, stdout, stderr) = outcome(&dev.command(&["read", "--all"]).output().expect("it starts"));
    assert_eq!((stdout.lines().count(), stderr.as_str()), (102, ""), "a header and all rows");
}

#[test]
fn parts_of_the_log_are_chosen() {
    let dev = filled(10);
    let data = |options: &[&str]| {
        let events = dev.events(options);
        events.iter().map(|event| event["data"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(data(&["Order-1", "--from", "9"]), [8, 9]);
    assert_eq!(data(&["Order-1", "--from", "2", "--backward"]), [1, 0]);
    assert_eq!(data(&["--type", "T1", "--from", "8"]), [5, 7, 9]);
    assert_eq!(data(&["--type", "T1", "--type", "T0", "--type", "a,b", "--from", "11"]), [7, 8, 9]);
    assert_eq!(data(&["--max-lag", "2s", "--from", "13"]), [9]);
    assert_eq!(data(&["--filter", "event.data > 7"]), [8, 9]);
    assert_eq!(data(&["--category", "Payment"]), [0; 0]);
    let system = dev.events(&["--include-system"]);
    assert_eq!((system.len(), &system[0]["type"]), (13, &Value::from("$term")));
    let json: Value =
        serde_json::from_str(&dev.run(&["read", "-n", "2", "-o", "json"])).expect("one document");
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    assert_eq!(dev.run(&["read", "--category", "none", "-o", "json"]), "[]\n");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dev = filled(500);
    let mut command = dev.command(&["read", "--all", "-o", "ndjson"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("it is piped");
    stdout.read_exact(&mut [0; 10]).expect("it writes");
    drop(stdout);
    let (code, _, stderr) = outcome(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn status_shows_stores_and_sources() {
    let dev = filled(1);
    let table = dev.run(&["status"]);
    for part in ["store     shop", "primary   ledger", "ledger  sqlite  Voter  InSync"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let status: Value =
        serde_json::from_str(&dev.run(&["status", "--store", "shop", "-o", "ndjson"])).expect("JSON");
    assert_eq!(status["positions"][0], Value::from(4));
    let (code, _, stderr) =
        outcome(&dev.command(&["status", "--store", "none"]).output().expect("it starts"));
    assert!(code == 1 && stderr.starts_with("error: store_not_found"), "{stderr}");
}

#[test]
fn a_bench_measures_what_it_appends() {
    let dev = filled(1);
    let bench =
        ["bench", "--clients", "2", "--events", "5", "--seconds", "1", "--payload", "50", "-o", "json"];
    let measured: Value = serde_json::from_str(&dev.run(&bench)).expect("JSON");
    let appends = measured["appends"].as_u64().expect("a number") as usize;
    let events = dev.events(&["--category", "bench"]);
    assert!(appends > 0 && measured["p50Millis"].as_f64() <= measured["p99Millis"].as_f64());
    assert_eq!(events.len(), appends * 5);
    assert_eq!(events[0]["data"].as_str().map(str::len), Some(48), "50 bytes with the quotes");
}
