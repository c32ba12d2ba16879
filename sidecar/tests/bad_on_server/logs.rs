//! The server's own log has no room left.

use std::{sync::LazyLock, time::Instant};

use http::Method;

use super::{ENOUGH, servers::BadServer};
use crate::support::{
    client::Answer,
    mounted::{store, until},
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
    let deadline = Instant::now() + ENOUGH;
    let problem = loop {
        let answer = append(&running, number).await;
        let problem = answer.json();
        match problem["code"].as_str() {
            // also in between, where the server found a little room
            None => number += 1,
            Some(code) if code == S::LOG_IS_FULL => break problem,
            Some(_) => assert_eq!(problem["retry"], true, "{problem}"),
        }
        assert!(number < 1_000 && Instant::now() < deadline, "{}", answer.text());
    };
    assert!(problem["retry"] == true && problem["nextStep"] != "", "{problem}");
    // where it still reads; what was not acknowledged may be there
    let head = running.client.get("/v1/streams/Payment-1/head").await;
    match head.status.is_success() {
        true => assert!((number - 1..=number).contains(&head.json()["version"].as_u64().unwrap())),
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
    until("the status tells it", || async {
        let store = running.client.get("/v1/stores/payments").await.ok().json();
        (store["sources"][0]["state"] == "InSync").then_some(())
    })
    .await;
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
