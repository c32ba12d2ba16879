//! What an administrator does with a log over PostgreSQL, MariaDB and SQLite: a switch, an opening without a lost primary, and a
//! look at what that lost.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;

use http::Method;
use serde_json::Value;
use support::{
    client::Answer,
    process::{Dev, folder},
    replicas::{append, append_until_acknowledged, manifests, numbers, source, until, until_level},
    three_engines::ThreeEngines,
};

const LOSSY: &str = "{type: Priority, acks: '1', failover: {mode: Manual, after: 500ms}}";

fn dev(folder: &tempfile::TempDir, more: &[&str]) -> Dev {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"));
    command.current_dir(folder.path()).args(["dev", ".", "--port", "0", "--health-port", "0"]).args(more);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::piped()).env("POLYLOG_LOG", "debug");
    Dev::of(command)
}

async fn post(dev: &Dev, what: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/json")];
    dev.client.send(Method::POST, &format!("/v1/admin/{what}"), &headers, body.to_owned()).await
}

fn refused(answer: &Answer, code: &str, detail: &str) {
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
}

#[tokio::test]
async fn a_primary_is_switched_one_that_is_lost_is_replaced_and_what_it_alone_had_is_in_quarantine() {
    let bed = ThreeEngines::new(LOSSY, "");
    let dev = bed.dev();
    for number in 1..=10 {
        append(&dev.client, number).await.ok();
    }
    let before = until_level(&dev.client).await;
    assert_eq!(before["primary"], "ledger");

    // a planned switch, and back
    refused(&post(&dev, "switch", r#"{"primary":"other"}"#).await, "invalid_request", "votes");
    let switched = post(&dev, "switch", r#"{"primary":"mirror"}"#).await.ok().json();
    assert_eq!(switched["primary"], "mirror");
    assert!(switched["term"].as_u64() > before["term"].as_u64(), "{switched}");
    append(&dev.client, 11).await.ok();
    until_level(&dev.client).await;
    assert_eq!(post(&dev, "switch", r#"{"primary":"ledger"}"#).await.ok().json()["primary"], "ledger");
    append(&dev.client, 12).await.ok();
    until_level(&dev.client).await;

    // what only the primary has
    let lock = rusqlite::Connection::open(bed.file()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    bed.mariadb.crash();
    for number in 13..=15 {
        append(&dev.client, number).await.ok();
    }
    // as much as the process that writes it keeps in memory, so that it cannot send the others what came before
    let more = vec![r#"{"type":"Noted","data":0}"#; 500].join(",");
    let more = format!(r#"{{"expectedVersion":"any","events":[{more}]}}"#);
    dev.client.post("/v1/streams/Note-1", more).await.ok();
    bed.postgres.crash();
    lock.execute_batch("ROLLBACK").unwrap();
    bed.mariadb.start_again();
    let answers = |status: &Value, name: &str| source(status, name)["state"] != "Unreachable";
    until(&dev.client, "the replicas answer, and the primary does not", |status| {
        answers(status, "mirror") && answers(status, "spare") && !answers(status, "ledger")
    })
    .await;
    let none = post(&dev, "failover", r#"{"stopped":[]}"#).await;
    refused(&none, "invalid_request", "stopped");
    let wrong = post(&dev, "failover", r#"{"stopped":["mirror"]}"#).await;
    refused(&wrong, "invalid_request", "ledger does not answer either");
    let both = post(&dev, "failover", r#"{"stopped":["ledger","mirror"]}"#).await;
    refused(&both, "invalid_request", "mirror answers");
    let opened = post(&dev, "failover", r#"{"stopped":["ledger"]}"#).await.ok().json();
    assert_ne!(opened["primary"], "ledger", "{opened}");
    append_until_acknowledged(&dev.client, 16).await;
    let shown = numbers(&dev.client).await;
    // a write that waited for the file's lock may have come through
    let kept = shown.len() as u64 - 13;
    assert!(kept < 3, "{shown:?}");
    assert_eq!(shown, (1..=12 + kept).chain([16]).collect::<Vec<_>>());

    // it is back, and what it alone had is put aside
    bed.postgres.start_again();
    until_level(&dev.client).await;
    let page = dev.client.get("/v1/admin/quarantine").await.ok().json();
    let entries = page["entries"].as_array().unwrap();
    let of = |entry: &Value| entry["events"][0]["data"]["number"].as_u64();
    let users: Vec<_> = entries.iter().filter_map(of).collect();
    assert_eq!(users, (13 + kept..=15).collect::<Vec<_>>(), "{page}");
    assert!(entries.iter().all(|entry| entry["source"] == "ledger"), "{page}");
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page =
            dev.client.get(&format!("/v1/admin/quarantine?source=ledger&limit=1{after}")).await.ok().json();
        paged.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(paged, *entries);
    assert_eq!(
        dev.client.get("/v1/admin/quarantine?source=mirror").await.ok().json()["entries"],
        Value::Array(vec![])
    );
    let unknown = dev.client.get("/v1/admin/quarantine?source=other").await;
    refused(&unknown, "invalid_request", "there is no source other");
    dev.stop();
}

/// Who may append may not administer.
#[tokio::test]
async fn only_an_administrator_may() {
    let access = "  access:\n    - {serviceAccounts: [{name: app}], verbs: [append, read]}\n  strategyRef:";
    let folder = folder(&manifests(LOSSY).replace("  strategyRef:", access));
    let dev = dev(&folder, &["--as", "shop/app"]);
    append(&dev.client, 1).await.ok();
    for (what, body) in
        [("verify", ""), ("switch", r#"{"primary":"mirror"}"#), ("failover", r#"{"stopped":["mirror"]}"#)]
    {
        assert_eq!(post(&dev, what, body).await.json()["code"], "access_denied", "{what}");
    }
    assert_eq!(dev.client.get("/v1/admin/quarantine").await.json()["code"], "access_denied");
    dev.stop();
}
