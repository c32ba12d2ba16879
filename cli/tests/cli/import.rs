use std::{
    process::{Command, Stdio},
    thread,
};

use serde_json::{Value, json};

use crate::support::{Dev, outcome, until};

/// What must be the same in another log.
fn essence(event: &Value) -> Value {
    let fields = [
        "stream",
        "category",
        "aggregateId",
        "version",
        "id",
        "type",
        "data",
        "dataBase64",
        "contentType",
        "correlationId",
        "causationId",
        "time",
    ];
    fields
        .iter()
        .map(|field| ((*field).to_owned(), event[*field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Lines without ids: `count` events over `streams` streams, numbered in each.
fn lines(count: usize, streams: usize) -> String {
    let line = |index: usize| {
        format!(
            "{{\"stream\":\"Row-{}\",\"type\":\"Read\",\"data\":{{\"n\":{}}}}}\n",
            index % streams,
            index / streams
        )
    };
    (0..count).map(line).collect()
}

/// Checks that each stream holds its events once and in order.
fn check_rows(dev: &Dev, count: usize, streams: usize) {
    let events = dev.events(&[]);
    assert_eq!(events.len(), count);
    let mut next = vec![0; streams];
    for event in events {
        let stream: usize = event["aggregateId"].as_str().and_then(|id| id.parse().ok()).expect("a number");
        assert_eq!(event["data"]["n"], json!(next[stream]), "stream {stream}");
        next[stream] += 1;
        assert_eq!(event["version"], json!(next[stream]));
    }
}

fn imported(dev: &Dev, file: &std::path::Path, options: &[&str]) -> Value {
    let path = file.display().to_string();
    let arguments = [&["import", &path, "-o", "ndjson"], options].concat();
    serde_json::from_str(&dev.run(&arguments)).expect("JSON")
}

#[test]
fn a_log_is_the_same_in_another_store() {
    let (one, other) = (Dev::start(), Dev::start());
    let events = concat!(
        "{\"type\":\"A\",\"data\":{\"b\": 1e400,\"a\":-0,\"a\":\"\\ud800\"},\"metadata\":{\"k\":9007199254740993},\"time\":\"2020-01-01T00:00:00Z\"}\n",
        "{\"type\":\"B\",\"dataBase64\":\"/wA=\",\"contentType\":\"image/png\",\"correlationId\":\"c\",\"causationId\":\"d\"}\n",
        "{\"type\":\"C\"}\n"
    );
    assert!(
        one.feed(
            &["append", "x", "-e", "any", "--category", "K", "--aggregate-id", "7", "--events", "-"],
            events
        )
        .status
        .success()
    );
    assert!(one.feed(&["append", "y-1", "-e", "any", "--events", "-"], events).status.success());
    let export = other.file("log.ndjson", &one.run(&["export", "-", "--include-system"]));
    let summary = imported(&other, &export, &[]);
    assert_eq!(summary, json!({"written": 6, "present": 0, "systemLeftOut": 3, "complete": true}));
    let (there, here) = (one.run(&["export"]), other.run(&["export"]));
    for (there, here) in by_stream(&there).into_iter().zip(by_stream(&here)) {
        let data = |line: &str| {
            line.split(",\"contentType\"")
                .next()
                .and_then(|start| start.split("\"data").nth(1))
                .map(str::to_owned)
        };
        assert_eq!(data(there), data(here), "byte for byte");
        let (there, here): (Value, Value) = (read(there), read(here));
        assert_eq!(essence(&there), essence(&here));
        assert_eq!(here["metadata"]["$imported"], json!({"$by": "local"}));
    }
    let again = imported(&other, &export, &[]);
    assert_eq!((&again["written"], &again["present"]), (&json!(0), &json!(6)));
}

/// Lines in the order of streams and versions: only within a stream does an import keep the order.
fn by_stream(export: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = export.lines().collect();
    lines.sort_by_key(|line| {
        let event = read(line);
        (event["stream"].as_str().map(str::to_owned), event["version"].as_u64())
    });
    lines
}

/// Data beyond what a JSON value can hold is compared as text; here only the rest counts.
fn read(line: &str) -> Value {
    serde_json::from_str(&line.replace("1e400", "0").replace("\\ud800", "")).expect("JSON")
}

#[test]
fn the_same_command_goes_on_after_an_interruption() {
    let dev = Dev::start();
    let (count, streams) = (60_000, 50);
    let file = dev.file("rows.ndjson", &lines(count, streams));
    let path = file.display().to_string();
    let mut written = 0;
    let mut interrupted = dev.command(&["import", &path, "-o", "ndjson", "--in-flight", "2"]);
    let interrupted = interrupted.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    until("something is written", || !dev.run(&["read", "-n", "1", "-o", "ndjson"]).is_empty());
    let signal =
        Command::new("kill").args(["-INT", &interrupted.id().to_string()]).status().expect("it starts");
    assert!(signal.success());
    let (code, stdout, stderr) = outcome(&interrupted.wait_with_output().expect("it ends"));
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.contains("the same command goes on from here"), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(summary["complete"], json!(false));
    written += summary["written"].as_u64().expect("a number");
    assert!(written > 0 && written < count as u64, "{written}");
    let rest = imported(&dev, &file, &[]);
    assert_eq!(rest["present"].as_u64(), Some(written));
    assert_eq!(rest["written"].as_u64(), Some(count as u64 - written));
    check_rows(&dev, count, streams);
}

#[test]
fn an_import_survives_a_killed_sidecar() {
    let mut dev = Dev::start();
    let (count, streams) = (20_000, 20);
    let file = dev.file("rows.ndjson", &lines(count, streams));
    let path = file.display().to_string();
    let mut command = dev.command(&["import", &path, "-o", "ndjson"]);
    let import = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    until("something is written", || !dev.run(&["read", "-n", "1", "-o", "ndjson"]).is_empty());
    dev.kill();
    dev.restart();
    let (code, stdout, stderr) = outcome(&import.wait_with_output().expect("it ends"));
    assert_eq!(code, 0, "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).expect("JSON");
    let total = summary["written"]
        .as_u64()
        .zip(summary["present"].as_u64())
        .map(|(written, present)| written + present);
    assert_eq!(total, Some(count as u64));
    check_rows(&dev, count, streams);
}

#[test]
fn an_import_fits_itself_to_smaller_limits() {
    let dev = Dev::with("  events: {limits: {commitEvents: 7}}\n");
    let file = dev.file("rows.ndjson", &lines(100, 3));
    assert_eq!(imported(&dev, &file, &[])["written"], json!(100));
    assert_eq!(imported(&dev, &file, &[])["present"], json!(100));
    check_rows(&dev, 100, 3);
}

#[test]
fn nothing_is_imported_from_a_file_with_a_wrong_line() {
    let dev = Dev::start();
    for wrong in ["{\"stream\":\"s\",\"type\":\"t\",\"typo\":1}", "{\"stream\":\"s\"}", "half a li"] {
        let file = dev.file("rows.ndjson", &format!("{}{wrong}\n", lines(3, 1)));
        let (code, _, stderr) =
            outcome(&dev.command(&["import", &file.display().to_string()]).output().expect("it starts"));
        assert!(
            code == 2 && stderr.contains("line 4: ") && stderr.contains("nothing was imported"),
            "{stderr}"
        );
    }
    assert!(dev.events(&[]).is_empty());
}

#[test]
fn a_refused_line_is_named_and_what_stands_before_it_is_written() {
    let dev = Dev::with("  events: {limits: {eventBytes: 1Ki}}\n");
    let long = format!("{{\"stream\":\"Row-0\",\"type\":\"Read\",\"data\":\"{}\"}}\n", "x".repeat(2_000));
    let file = dev.file("rows.ndjson", &format!("{}{long}{}", lines(10, 1), lines(3, 1)));
    let (code, stdout, stderr) =
        outcome(&dev.command(&["import", &file.display().to_string()]).output().expect("it starts"));
    assert_eq!((code, stdout.as_str()), (1, "10 events written, 0 already there\n"), "{stderr}");
    assert!(stderr.contains("line 11:") && stderr.contains("limit_exceeded"), "{stderr}");
    check_rows(&dev, 10, 1);
}

#[test]
fn versions_are_expected_unless_they_are_given_up() {
    let dev = Dev::start();
    dev.run(&["append", "s", "-e", "any", "-t", "First"]);
    let line =
        "{\"stream\":\"s\",\"type\":\"t\",\"version\":1,\"id\":\"00000000-0000-0000-0000-000000000007\"}\n";
    let (code, _, stderr) = outcome(&dev.feed(&["import", "-"], line));
    assert!(code == 1 && stderr.contains("line 1:") && stderr.contains("version_conflict"), "{stderr}");
    let (code, stdout, stderr) = outcome(&dev.feed(&["import", "-", "--renumber"], line));
    assert_eq!((code, stdout.as_str()), (0, "1 events written, 0 already there\n"), "{stderr}");
    assert_eq!(dev.events(&["s"])[1]["version"], json!(2));
}

#[test]
fn other_content_under_an_imported_id_is_told() {
    let dev = Dev::start();
    let line = |data| {
        format!(
            "{{\"stream\":\"s\",\"type\":\"t\",\"data\":{data},\"id\":\"00000000-0000-0000-0000-000000000007\"}}\n"
        )
    };
    assert!(dev.feed(&["import", "-"], &line(1)).status.success());
    let (code, _, stderr) = outcome(&dev.feed(&["import", "-"], &line(2)));
    assert!(code == 1 && stderr.contains("id_conflict"), "{stderr}");
}

#[test]
fn what_another_import_left_half_done_is_completed() {
    let dev = Dev::start();
    let line = |number: u64, version: &str| {
        format!(
            "{{\"stream\":\"s\",\"type\":\"t\",\"id\":\"00000000-0000-0000-0000-00000000000{number}\"{version}}}\n"
        )
    };
    let import = |numbers: &[u64], version: &dyn Fn(u64) -> String| {
        let lines: String = numbers.iter().map(|number| line(*number, &version(*number))).collect();
        outcome(&dev.feed(&["import", "-"], &lines))
    };
    let (free, fixed) = (|_| String::new(), |number| format!(",\"version\":{number}"));
    assert_eq!(import(&[1, 2, 3], &free).1, "3 events written, 0 already there\n");
    assert_eq!(import(&[1, 2, 3, 4, 5], &free).1, "2 events written, 3 already there\n");
    assert_eq!(import(&[1, 2, 3, 4, 5, 6], &fixed).1, "1 events written, 5 already there\n");
    assert_eq!(import(&[2, 3], &free).1, "0 events written, 2 already there\n");
    let (code, _, stderr) = import(&[7, 6], &free);
    assert!(code == 1 && stderr.contains("lines 1 to 2:") && stderr.contains("id_conflict"), "{stderr}");
    assert_eq!(dev.events(&["s"]).len(), 6);
}

#[test]
fn lines_from_a_pipe_need_ids() {
    let dev = Dev::start();
    let (code, _, stderr) = outcome(&dev.feed(&["import", "-"], &lines(1, 1)));
    assert!(code == 2 && stderr.contains("line 1 has no id"), "{stderr}");
}

#[test]
fn two_imports_of_one_file_at_once_write_it_once() {
    let dev = Dev::start();
    let (count, streams) = (3_000, 5);
    let file = dev.file("rows.ndjson", &lines(count, streams));
    let written: u64 = thread::scope(|scope| {
        let import = || imported(&dev, &file, &[])["written"].as_u64().expect("a number");
        let both = [scope.spawn(import), scope.spawn(import)];
        both.into_iter().map(|one| one.join().expect("it succeeds")).sum()
    });
    assert_eq!(written, count as u64);
    check_rows(&dev, count, streams);
}
