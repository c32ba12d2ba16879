//! The server's own log has no room left.

use std::{sync::LazyLock, time::Instant};

use http::Method;
use serde_json::Value;

use super::{ENOUGH, servers::BadServer};
use crate::support::{
    client::Answer,
    mounted::store,
    process::{Dev, at, folder},
};

/// What was acknowledged stays, what was not is written once when it is sent again, and nobody restarts the sidecar.
pub async fn a_servers_log_that_has_no_room_left<S: BadServer>(_: &LazyLock<S>) {
    let server = S::with_small_log_disk();
    let place = server.new_place();
    let folder = folder(&store(&server, &place));
    let running = Dev::start(folder.path(), &at(&server.admin_url(&place)));
    for number in 1..=5 {
        append(&running, number).await.ok();
    }
    server.fill_disk();
    let mut number = 6;
    while append(&running, number).await.status.is_success() {
        number += 1;
        assert!(number < 1_000, "the disk has room");
    }
    // the one that was not acknowledged is sent again and again
    let deadline = Instant::now() + ENOUGH;
    let problem = loop {
        let problem = append(&running, number).await.json();
        if problem["code"] == S::LOG_IS_FULL {
            break problem;
        }
        assert!(problem["retry"] == true && Instant::now() < deadline, "{problem}");
    };
    assert_eq!(problem["retry"], true, "{problem}");
    // where it still reads
    let head = running.client.get("/v1/streams/Payment-1/head").await;
    match head.status.is_success() {
        true => assert_eq!(head.json()["version"], number - 1),
        false => drop(head.problem("source_unavailable")),
    }

    server.free_disk();
    let deadline = Instant::now() + ENOUGH;
    loop {
        let answer = append(&running, number).await;
        if answer.status.is_success() {
            break;
        }
        assert!(Instant::now() < deadline, "it goes on: {}", answer.text());
    }
    append(&running, number + 1).await.ok();
    let read = running.client.get("/v1/streams/Payment-1?limit=1000").await.ok().json();
    let events = read["events"].as_array().unwrap();
    let numbers: Vec<_> = events.iter().map(|event| event["data"]["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=number + 1).collect::<Vec<_>>(), "each once, in order");
    let store: Value = running.client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(store["sources"][0]["state"], "InSync", "{store}");
}

/// The id follows from the number.
async fn append(running: &Dev, number: u64) -> Answer {
    // what does not compress, and has room in a page
    let noise: String = (0..800_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    let id = format!("00000000-0000-7000-8000-{number:012}");
    let data = format!(r#"{{"number":{number},"noise":"{noise}"}}"#);
    let body =
        format!(r#"{{"expectedVersion":"any","events":[{{"id":"{id}","type":"Paid","data":{data}}}]}}"#);
    let headers = [("content-type", "application/json"), ("polylog-timeout", "2s")];
    running.client.send(Method::POST, "/v1/streams/Payment-1", &headers, body).await
}
