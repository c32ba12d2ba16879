//! What tests of EventTypePartitioning share: `Paid` is kept by `mirror`, what has the region `eu` by `spare`, the rest by
//! `ledger`.

use std::path::Path;

use serde_json::Value;

use super::{Client, client::Answer, mounted};

/// Waits until it is so.
pub async fn until_true<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) {
    mounted::until(what, || async { is().await.then_some(()) }).await;
}

/// Appends one event of a type, with this metadata; its id follows from the number.
pub async fn append(client: &Client, number: u64, event_type: &str, metadata: &str) -> Answer {
    let id = format!("00000000-0000-7000-8000-{number:012}");
    let body = format!(
        r#"{{"expectedVersion":"any","events":[{{"id":"{id}","type":"{event_type}","metadata":{metadata},"data":{{"number":{number}}}}}]}}"#
    );
    client.post("/v1/streams/Payment-1", body).await
}

/// Four events: two of them for `mirror`, one for each of the others.
pub async fn append_some(client: &Client) {
    append(client, 1, "Booked", "{}").await.ok();
    append(client, 2, "Paid", r#"{"region":"eu"}"#).await.ok();
    append(client, 3, "Shipped", r#"{"region":"eu"}"#).await.ok();
    append(client, 4, "Paid", r#"{"note":"x"}"#).await.ok();
}

/// The events of the stream, each with its type, what is said of its data, and its number.
pub async fn seen(client: &Client) -> Vec<(String, String, Option<u64>)> {
    let page = client.get("/v1/streams/Payment-1?limit=1000").await.ok().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = page["events"].as_array().unwrap().iter();
    events
        .map(|event| (text(&event["type"]), text(&event["dataState"]), event["data"]["number"].as_u64()))
        .collect()
}

/// Checks that reads of every kind join the data.
pub async fn check_all_is_read(client: &Client) {
    let events = seen(client).await;
    assert!(events.len() >= 4, "{events:?}");
    for (event_type, state, number) in &events {
        assert_eq!((state.as_str(), number.is_some()), ("PRESENT", true), "{event_type} in {events:?}");
    }
    for path in
        ["/v1/events?limit=1000", "/v1/events?categories=Payment&limit=1000", "/v1/search?q=number&limit=100"]
    {
        let page = client.get(path).await.ok().json();
        let found =
            page["events"].as_array().or(page["hits"].as_array()).unwrap_or_else(|| panic!("{path}: {page}"));
        let of_users = found.iter().map(|found| found.get("event").unwrap_or(found));
        let lacking: Vec<_> = of_users.filter(|event| event["dataState"] != "PRESENT").collect();
        assert!(lacking.is_empty(), "{path}: {lacking:?}");
    }
    let one = client.get("/v1/events/00000000-0000-7000-8000-000000000002").await.ok().json();
    assert_eq!(one["data"]["number"].as_u64().or(one["event"]["data"]["number"].as_u64()), Some(2), "{one}");
}

/// While `mirror` does not take writes: what it is to keep is refused, with nothing written; the rest is taken.
pub async fn check_only_paid_is_refused(client: &Client, from: u64) {
    until_true("what is paid is refused", || async {
        let answer = append(client, from, "Paid", "{}").await;
        answer.status == 503 && answer.json()["code"] == "route_unavailable"
    })
    .await;
    for number in from + 1..from + 10 {
        append(client, number, "Booked", "{}").await.ok();
    }
    let refused = append(client, from + 20, "Paid", "{}").await;
    assert_eq!(refused.json()["written"], "nothing", "{}", refused.text());
}

/// The types of the events whose data an SQLite file holds, without the log's own.
pub fn kept_in_file(path: &Path) -> Vec<String> {
    let file =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows = file
        .prepare(
            "SELECT type FROM polylog_events WHERE data IS NOT NULL AND type NOT LIKE '$%' ORDER BY type",
        )
        .unwrap();
    let types = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    types.collect::<Result<_, _>>().unwrap()
}
