//! What the tests of every engine expect of a sidecar whose server goes away.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Client, process::Dev};

/// A subscription sees what is appended after it began.
pub async fn follow(client: &Client) {
    use http_body_util::BodyExt;
    let request = client.request(
        http::Method::GET,
        "/v1/subscribe?from=beginning",
        &[("accept", "text/event-stream")],
        "",
    );
    let answer = client.open(request).await;
    assert!(answer.status().is_success(), "{}", answer.status());
    let mut body = answer.into_body();
    client.append("Payment-1", "Followed", "3").await;
    let mut seen = String::new();
    let read = async {
        while !seen.contains("Followed") {
            let frame = body.frame().await.expect("no end").unwrap();
            seen.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the event arrives");
}

/// One event, with the same id until it is answered for good.
pub async fn append_until_answered(client: &Client, writer: usize, number: u64) {
    let id = uuid::Uuid::now_v7();
    let expected = if number == 0 { r#""noStream""#.to_owned() } else { number.to_string() };
    let body = format!(
        r#"{{"expectedVersion":{expected},"events":[{{"id":"{id}","type":"Paid","data":{number}}}]}}"#
    );
    until_answered(client, &format!("Payment-{writer}"), &body).await;
}

/// Codes after which the same request may succeed.
pub const MAY_PASS: [&str; 4] = ["outcome_unknown", "source_unavailable", "no_primary", "deadline_exceeded"];

pub async fn until_answered(client: &Client, stream: &str, body: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut counts = BTreeMap::<String, u64>::new();
    loop {
        let answer = client.post(&format!("/v1/streams/{stream}"), body.to_owned()).await;
        if answer.status.is_success() {
            return;
        }
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert!(MAY_PASS.contains(&code.as_str()), "{}", answer.text());
        *counts.entry(code).or_default() += 1;
        assert!(Instant::now() < deadline, "no answer: {counts:?}");
    }
}

/// Four writers go on while the server is restarted so many times; `count` counts the events in it. What was answered is
/// there once.
pub async fn writers_outlive_kills(running: &Dev, kills: usize, count: impl Fn() -> u64, restart: impl Fn()) {
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (client, stop) = (running.client.clone(), stop.clone());
            tokio::spawn(async move {
                let mut answered = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    append_until_answered(&client, writer, answered).await;
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let mut events = 0;
    for _ in 0..kills {
        let wanted = events + 20;
        let deadline = Instant::now() + Duration::from_secs(60);
        while events < wanted {
            assert!(Instant::now() < deadline, "appends go on: {}", running.said.lock().unwrap());
            events = count();
        }
        restart();
    }
    stop.store(true, Ordering::Relaxed);
    for (writer, task) in writers.into_iter().enumerate() {
        let answered = task.await.unwrap();
        let head = running.client.get(&format!("/v1/streams/Payment-{writer}/head")).await.ok().json();
        assert_eq!(head["version"], answered, "writer {writer}");
    }
}
