//! One log over MongoDB and SQLite: each is primary once, and nothing that was acknowledged is lost.

use std::{path::Path, process::Command, time::Duration};

use polylog_test_bed::MongodbServer;
use tempfile::TempDir;

use crate::{
    on_disk, rows,
    support::{
        process::{Dev, folder},
        replicas::{
            append, append_until_acknowledged, manifests, numbers, rows_of_file, source, until, until_level,
        },
    },
    url,
};

const MAJORITY: &str = "{type: Priority, acks: Majority, failover: {mode: Automatic}}";

struct Bed {
    server: MongodbServer,
    name: String,
    folder: TempDir,
    /// The source that is in MongoDB.
    source: &'static str,
}

impl Bed {
    fn new(source: &'static str) -> Self {
        let server = on_disk();
        let name = server.new_name();
        Self { server, name, folder: folder(&manifests(MAJORITY)), source }
    }

    fn dev(&self) -> Dev {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"));
        command.current_dir(self.folder.path()).args(["dev", ".", "--port", "0", "--health-port", "0"]);
        command.args(["--source", &format!("{}={}", self.source, url(&self.server, &self.name))]);
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::piped()).env("POLYLOG_LOG", "debug");
        Dev::of(command)
    }

    /// Checks that all databases hold the same events; says how many.
    async fn same_events(&self) -> usize {
        let mongodb = rows(&self.server, &self.name).await;
        for file in ["ledger", "mirror", "spare"].into_iter().filter(|name| *name != self.source) {
            let path = format!(".polylog/shop.payments/{file}.db");
            let file: &Path = &self.folder.path().join(path);
            assert_eq!(mongodb, rows_of_file(file));
        }
        mongodb.len()
    }
}

/// The server is a replica: it is killed and catches up, and what is asked of all waits for it.
#[tokio::test]
async fn a_replica_acknowledges_is_lost_and_catches_up() {
    let bed = Bed::new("mirror");
    let dev = bed.dev();
    append(&dev.client, 1).await.ok();
    let level = until_level(&dev.client).await;
    assert_eq!(
        (&level["primary"], &source(&level, "mirror")["engine"]),
        (&"ledger".into(), &"mongodb".into())
    );
    let all = dev
        .client
        .send(
            http::Method::POST,
            "/v1/streams/Payment-1?acks=all",
            &[("content-type", "application/json")],
            r#"{"expectedVersion":1,"events":[{"id":"00000000-0000-7000-8000-000000000002","type":"Paid","data":{"number":2}}]}"#,
        )
        .await;
    let acked = all.ok().json();
    let by = acked["ackedBy"].as_array().cloned().unwrap_or_default();
    assert!(by.is_empty() || by.contains(&"mirror".into()), "{acked}");

    bed.server.crash();
    for number in 3..=40 {
        append_until_acknowledged(&dev.client, number).await;
    }
    until(&dev.client, "it is told", |status| source(status, "mirror")["state"] == "Unreachable").await;
    bed.server.start_again();
    until_level(&dev.client).await;
    assert_eq!(numbers(&dev.client).await, (1..=40).collect::<Vec<_>>());
    dev.stop();
    assert!(bed.same_events().await > 40);
}

/// The server is the primary: another takes over when it is killed, and it follows once it is back.
#[tokio::test]
async fn a_primary_is_lost_and_another_takes_over() {
    let bed = Bed::new("ledger");
    let dev = bed.dev();
    for number in 1..=20 {
        append(&dev.client, number).await.ok();
    }
    let before = until_level(&dev.client).await;
    assert_eq!(before["primary"], "ledger");
    bed.server.crash();
    let took = append_until_acknowledged(&dev.client, 21).await;
    assert!(took < Duration::from_secs(10), "from the kill to the next acknowledged append: {took:?}");
    let without = until(&dev.client, "another primary", |status| status["primary"] != "ledger").await;
    assert!(without["term"].as_u64() > before["term"].as_u64(), "{without}");
    for number in 22..=40 {
        append_until_acknowledged(&dev.client, number).await;
    }
    bed.server.start_again();
    until_level(&dev.client).await;
    assert_eq!(numbers(&dev.client).await, (1..=40).collect::<Vec<_>>());
    dev.stop();
    assert!(bed.same_events().await > 41);

    // a start while it is away
    bed.server.crash();
    let dev = bed.dev();
    append_until_acknowledged(&dev.client, 41).await;
    bed.server.start_again();
    until_level(&dev.client).await;
    assert_eq!(numbers(&dev.client).await, (1..=41).collect::<Vec<_>>());
    dev.stop();
    bed.same_events().await;
}
