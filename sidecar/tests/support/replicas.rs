//! What tests of a log over several databases share: a manifest, what a user sees, and what each database holds.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Client;

/// A store over three sources, with this spec of a strategy.
pub fn manifests(strategy: &str) -> String {
    format!(
        "
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {{name: payments, namespace: shop}}
spec:
  strategyRef: {{name: s}}
  sources:
    - {{name: ledger, connection: {{secretRef: {{name: db}}}}, postgres: {{schema: payments}}}}
    - {{name: mirror, connection: {{secretRef: {{name: db}}}}, postgres: {{schema: payments}}}}
    - {{name: spare, connection: {{secretRef: {{name: db}}}}, postgres: {{schema: payments}}}}
---
apiVersion: polylog.dev/v1alpha1
kind: ReplicationStrategy
metadata: {{name: s, namespace: shop}}
spec: {strategy}
---
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: shop}}
stringData: {{url: 'postgres://localhost/x'}}
"
    )
}

/// What an append of one event with this number to `Payment-1` says; the id follows from the number.
pub async fn append(client: &Client, number: u64) -> super::client::Answer {
    let id = format!("00000000-0000-7000-8000-{number:012}");
    let body = format!(
        r#"{{"expectedVersion":"any","events":[{{"id":"{id}","type":"Paid","data":{{"number":{number}}}}}]}}"#
    );
    client.post("/v1/streams/Payment-1", body).await
}

/// The same until it is acknowledged; says how long that took.
pub async fn append_until_acknowledged(client: &Client, number: u64) -> Duration {
    let began = Instant::now();
    loop {
        let answer = append(client, number).await;
        if answer.status.is_success() {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{}", answer.text());
    }
}

/// The store's status.
pub async fn status(client: &Client) -> Value {
    client.get("/v1/stores/payments").await.ok().json()
}

/// A source in it.
pub fn source<'a>(status: &'a Value, name: &str) -> &'a Value {
    let sources = status["sources"].as_array().unwrap();
    sources.iter().find(|source| source["name"] == name).unwrap()
}

/// Waits until the status is as wanted.
pub async fn until(client: &Client, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = status(client).await;
        if is(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what}: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until every source is in sync at one position.
pub async fn until_level(client: &Client) -> Value {
    until(client, "all are level", |status| {
        let sources = status["sources"].as_array().unwrap();
        let position = &sources[0]["position"];
        sources.iter().all(|source| {
            source["state"] == "InSync" && source["lagEvents"] == 0 && source["position"] == *position
        })
    })
    .await
}

/// The numbers of all events of `Payment-1`, as a user reads them.
pub async fn numbers(client: &Client) -> Vec<u64> {
    let (mut numbers, mut from) = (Vec::new(), 1);
    loop {
        let page = client.get(&format!("/v1/streams/Payment-1?limit=1000&from={from}")).await.ok().json();
        let events = page["events"].as_array().unwrap();
        numbers.extend(events.iter().map(|event| event["data"]["number"].as_u64().unwrap()));
        if page["atEnd"] == true {
            return numbers;
        }
        from = page["nextFrom"].as_u64().unwrap();
    }
}

/// How many events of `Payment-1` a user sees; `None` while that cannot be read.
pub async fn length(client: &Client) -> Option<u64> {
    let head = client.get("/v1/streams/Payment-1/head").await;
    head.status.is_success().then(|| head.json()["version"].as_u64().unwrap())
}

/// A line for each event that an SQLite file holds, in the order of the log.
pub fn rows_of_file(path: &Path) -> Vec<String> {
    let file =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows = file
        .prepare(
            "SELECT position || ' ' || term || ' ' || stream || ' ' || version || ' ' || lower(hex(digest)) || ' ' || \
             lower(hex(data_digest)) FROM polylog_events ORDER BY position",
        )
        .unwrap();
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}
