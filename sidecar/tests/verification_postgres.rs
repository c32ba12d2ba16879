//! One log over PostgreSQL, MariaDB and SQLite: what happens to rows behind the sources' backs is found by itself or when
//! somebody asks, written back where it may be, and told where it may not.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    process::Dev,
    replicas::{append, rows_of_file, source, until, until_level},
    three_engines::{MAJORITY, ThreeEngines},
};

/// The servers, under a verification that is not held back.
struct Bed(ThreeEngines);

impl std::ops::Deref for Bed {
    type Target = ThreeEngines;

    fn deref(&self) -> &ThreeEngines {
        &self.0
    }
}

impl Bed {
    fn new() -> Self {
        Self(ThreeEngines::new(MAJORITY, "  verification: {maxReadsPerSecond: 1000}\n"))
    }

    fn in_sqlite(&self, sql: &str) {
        let file = rusqlite::Connection::open(self.file()).unwrap();
        file.busy_timeout(Duration::from_secs(20)).unwrap();
        file.execute_batch(sql).unwrap();
    }

    /// A line for each event, with its data, of all three databases.
    fn data(&self) -> [Vec<String>; 3] {
        let lines = |text: String| text.lines().map(|line| line.to_uppercase()).collect::<Vec<_>>();
        let file = rusqlite::Connection::open(self.file()).unwrap();
        let mut rows = file
            .prepare("SELECT position || ' ' || hex(data) FROM polylog_events ORDER BY position")
            .unwrap();
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        [
            lines(self.in_postgres(
                "SELECT position || ' ' || encode(data, 'hex') FROM payments.polylog_events ORDER BY position",
            )),
            lines(self.in_mariadb("SELECT concat(position, ' ', hex(data)) FROM polylog_events ORDER BY position")),
            rows.collect::<Result<_, _>>().unwrap(),
        ]
    }

    fn holds_the_same(&self) {
        let [postgres, mariadb, sqlite] = self.data();
        assert_eq!(postgres, mariadb);
        assert_eq!(postgres, sqlite);
    }
}

/// Waits until every source was read to its end.
async fn until_verified(dev: &Dev) -> Value {
    until(&dev.client, "everything is verified", |status| {
        let is_whole = |source: &Value| {
            let verified = &source["verified"];
            verified["end"].as_u64() > Some(0) && verified["through"] == verified["end"]
        };
        status["verifiedPercent"] == "100.00" && status["sources"].as_array().unwrap().iter().all(is_whole)
    })
    .await
}

/// Has everything read again.
async fn verify(dev: &Dev) -> Value {
    let headers = [("content-type", "application/json")];
    let asked = dev.client.send(http::Method::POST, "/v1/admin/verify", &headers, "").await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let request = asked.json()["request"].as_u64().unwrap();
    until(&dev.client, "it is read again", |status| {
        let sources = status["sources"].as_array().unwrap();
        sources.iter().all(|source| source["verified"]["answered"].as_u64() >= Some(request))
    })
    .await
}

fn verified(status: &Value, name: &str) -> [u64; 4] {
    let verified = &source(status, name)["verified"];
    ["missing", "differing", "extra", "repaired"].map(|what| verified[what].as_u64().unwrap())
}

async fn metric(dev: &Dev, name: &str, source: &str) -> f64 {
    let metrics = dev.health.get("/metrics").await.ok().text();
    let is_wanted = |line: &&str| {
        line.starts_with(&format!("{name}{{")) && line.contains(&format!("source=\"{source}\""))
    };
    let line = metrics.lines().find(is_wanted).unwrap_or_else(|| panic!("{name} of {source}: {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn flipped_bytes_and_missing_rows_are_found_and_written_back_in_each_engine() {
    let bed = Bed::new();
    let dev = bed.dev();
    for number in 1..=300 {
        append(&dev.client, number).await.ok();
    }
    until_level(&dev.client).await;
    let status = until_verified(&dev).await;
    assert_eq!(status["consistencyPercent"], "100.00", "{status}");
    bed.holds_the_same();
    let before = bed.data();

    // a byte of the data, in the primary and in both replicas
    bed.in_postgres("UPDATE payments.polylog_events SET data = set_byte(data, 3, get_byte(data, 3) # 1) WHERE position = 20");
    bed.in_mariadb(
        "UPDATE polylog_events SET data = concat(left(data, 3), '?', substring(data, 5)) WHERE position = 90",
    );
    bed.in_sqlite("UPDATE polylog_events SET data = CAST(replace(CAST(data AS TEXT), 'number', 'nomber') AS BLOB) WHERE position = 150");
    assert_ne!(bed.data()[0], before[0]);
    assert_ne!(bed.data()[1], before[1]);
    assert_ne!(bed.data()[2], before[2]);
    let status = verify(&dev).await;
    for name in ["ledger", "mirror", "spare"] {
        assert_eq!(verified(&status, name), [0, 0, 0, 1], "{name}: {status}");
        assert_eq!(metric(&dev, "polylog_consistency_ratio", name).await, 1.0);
        assert_eq!(metric(&dev, "polylog_repaired_rows_total", name).await, 1.0);
    }
    assert_eq!(bed.data(), before);

    // rows that are gone: single ones, several, and the last
    let end = before[0].len();
    bed.in_postgres("DELETE FROM payments.polylog_events WHERE position IN (33, 34, 35, 200)");
    bed.in_mariadb("DELETE FROM polylog_events WHERE position BETWEEN 100 AND 180");
    bed.in_sqlite(&format!("DELETE FROM polylog_events WHERE position IN (7, {end})"));
    let status = verify(&dev).await;
    assert_eq!(verified(&status, "ledger"), [0, 0, 0, 5], "{status}");
    assert_eq!(verified(&status, "mirror"), [0, 0, 0, 82], "{status}");
    assert_eq!(verified(&status, "spare"), [0, 0, 0, 3], "{status}");
    assert_eq!(bed.data(), before);
    append(&dev.client, 301).await.ok();
    dev.stop();
}

#[tokio::test]
async fn what_somebody_wrote_is_told_and_left_alone() {
    let bed = Bed::new();
    let dev = bed.dev();
    for number in 1..=50 {
        append(&dev.client, number).await.ok();
    }
    let level = until_level(&dev.client).await;
    assert_eq!(level["primary"], "ledger");
    until_verified(&dev).await;

    // a row behind the end of a replica's log
    let columns = "first, last, term, version, recorded_at, time, commit_id, stream, category, aggregate_id, type, fingerprint, \
                   digest, chain, data_digest, content_type, data";
    bed.in_sqlite(&format!(
        "INSERT INTO polylog_events (position, id, {columns}) SELECT position + 500, randomblob(16), \
         {} FROM polylog_events WHERE position = 10",
        columns.replace("version", "version + 500").replace("commit_id", "randomblob(16)")
    ));
    let status = verify(&dev).await;
    assert_eq!(verified(&status, "spare"), [0, 0, 1, 0], "{status}");
    assert_ne!(status["consistencyPercent"], "100.00", "{status}");
    assert_eq!(verified(&status, "mirror"), [0, 0, 0, 0], "{status}");
    let metrics = dev.health.get("/metrics").await.ok().text();
    let told = r#"polylog_inconsistent_events{store="payments",source="spare",finding="extra"} 1"#;
    assert!(metrics.contains(told), "{metrics}");
    let before = rows_of_file(&bed.file()).len();
    verify(&dev).await;
    assert_eq!(rows_of_file(&bed.file()).len(), before, "it was taken away");
    bed.in_sqlite("DELETE FROM polylog_events WHERE position > 500");
    let status = verify(&dev).await;
    assert_eq!((verified(&status, "spare"), &status["consistencyPercent"]), ([0, 0, 0, 0], &json!("100.00")));

    // a whole replica that is not of this history: other data, with digests that fit
    let page = dev.client.get("/v1/streams/Payment-1?limit=1&from=20").await.ok().json();
    let position = page["events"][0]["position"].as_u64().unwrap();
    let other = support::forged::other_event(&page["events"][0], &bed.in_mariadb(&format!(
        "SELECT concat(hex(commit_id), ' ', first, ' ', last) FROM polylog_events WHERE position = {position}"
    )));
    bed.in_mariadb(&format!(
        "UPDATE polylog_events SET data = X'{}', data_digest = X'{}', digest = X'{}' WHERE position = {position}",
        other.data, other.data_digest, other.digest
    ));
    let status = verify(&dev).await;
    assert_eq!(verified(&status, "mirror"), [0, 1, 0, 0], "{status}");
    let there = bed.in_mariadb(&format!("SELECT hex(data) FROM polylog_events WHERE position = {position}"));
    assert_eq!(there.to_lowercase(), other.data, "it was written over");
    dev.stop();
}

#[tokio::test]
async fn a_replica_that_was_away_reaches_full_verified_consistency_by_itself() {
    let bed = Bed::new();
    let dev = bed.dev();
    append(&dev.client, 1).await.ok();
    until_level(&dev.client).await;
    until_verified(&dev).await;
    bed.mariadb.crash();
    for number in 2..=400 {
        append(&dev.client, number).await.ok();
    }
    let status = until(&dev.client, "it is told", |status| status["verifiedPercent"] != "100.00").await;
    assert_eq!(source(&status, "mirror")["state"], "Unreachable", "{status}");
    bed.mariadb.start_again();
    until_level(&dev.client).await;
    let status = until_verified(&dev).await;
    assert_eq!(status["consistencyPercent"], "100.00", "{status}");
    assert_eq!(metric(&dev, "polylog_verified_ratio", "mirror").await, 1.0);
    dev.stop();
    bed.holds_the_same();
}
