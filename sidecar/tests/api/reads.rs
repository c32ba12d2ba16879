//! Reads show what was asked for, say where they came from, and refuse what makes no sense.

use serde_json::{Value, json};

use super::{Setup, Sidecar};

async fn filled() -> Sidecar {
    let sidecar = Sidecar::start().await;
    for number in 1..=6 {
        let (stream, kind) = if number % 2 == 0 { ("Order-1", "Placed") } else { ("Payment-1", "Paid") };
        sidecar.client.append(stream, kind, &format!(r#"{{"n":{number}}}"#)).await;
    }
    sidecar
}

fn numbers(page: &Value) -> Vec<u64> {
    let events = page["events"].as_array().expect("events");
    events.iter().map(|event| event["data"]["n"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let sidecar = filled().await;
    for (query, expected) in [
        ("direction=forward", vec![1, 2, 3, 4, 5, 6]),
        ("direction=backward", vec![6, 5, 4, 3, 2, 1]),
        ("types=Placed", vec![2, 4, 6]),
        ("types=Placed&direction=backward", vec![6, 4, 2]),
    ] {
        let mut seen = Vec::new();
        let mut from = String::new();
        loop {
            let page = sidecar.client.get(&format!("/v1/events?{query}&limit=2{from}")).await.ok().json();
            seen.extend(numbers(&page));
            from = format!("&from={}", page["nextFrom"]);
            if page["atEnd"] == true {
                break;
            }
        }
        assert_eq!(seen, expected, "{query}");
    }
    let before_first = sidecar.client.get("/v1/events?direction=backward&from=0").await.ok().json();
    assert_eq!((numbers(&before_first), &before_first["atEnd"]), (vec![], &json!(true)));
    let stream = sidecar.client.get("/v1/streams/Payment-1?from=2&limit=1").await.ok().json();
    assert_eq!(
        (numbers(&stream), &stream["nextFrom"], &stream["atEnd"]),
        (vec![3], &json!(3), &json!(false))
    );
    let back = sidecar.client.get("/v1/streams/Payment-1?direction=backward&limit=2").await.ok().json();
    assert_eq!((numbers(&back), &back["nextFrom"]), (vec![5, 3], &json!(1)));
}

#[tokio::test]
async fn filters_choose_and_move_on_past_what_they_hide() {
    let sidecar = filled().await;
    for (query, expected) in [
        ("types=Paid", vec![1, 3, 5]),
        ("types=Paid,Placed&limit=2", vec![1, 2]),
        ("typePrefix=Pl", vec![2, 4, 6]),
        ("categories=Order", vec![2, 4, 6]),
        ("categories=Pay*,Nothing", vec![1, 3, 5]),
        ("streams=Order-1", vec![2, 4, 6]),
        ("filter=event.data.n%20%3E%204", vec![5, 6]),
        ("filter=event.type+%3D%3D+%27Paid%27+%26%26+event.data.n+%3C+4", vec![1, 3]),
        ("types=Nothing", vec![]),
        ("since=2000-01-01T00:00:00Z", vec![1, 2, 3, 4, 5, 6]),
        ("until=2000-01-01T00:00:00Z", vec![]),
        ("correlationId=none", vec![]),
    ] {
        let page = sidecar.client.get(&format!("/v1/events?{query}")).await.ok().json();
        assert_eq!(numbers(&page), expected, "{query}");
        let head = page["served"]["position"].as_u64().expect("a position");
        if page["atEnd"] == true {
            assert_eq!(page["nextFrom"], head + 1, "{query}");
        }
    }
}

#[tokio::test]
async fn own_events_are_shown_only_on_demand() {
    let sidecar = filled().await;
    let streams = |page: Value| -> Vec<String> {
        let events = page["events"].as_array().expect("events").clone();
        events.iter().map(|event| event["stream"].as_str().expect("a name").to_owned()).collect()
    };
    let plain = streams(sidecar.client.get("/v1/events").await.ok().json());
    assert!(plain.iter().all(|stream| !stream.starts_with('$')), "{plain:?}");
    let all = streams(sidecar.client.get("/v1/events?includeSystem=true").await.ok().json());
    assert_eq!(all[..3], ["$term", "$config", "$policy"]);
    sidecar.client.get("/v1/streams/$config").await.ok();
    sidecar.client.get("/v1/streams/$other").await.problem("invalid_request");
}

#[tokio::test]
async fn lines_stream_everything() {
    let sidecar = Sidecar::start().await;
    for chunk in 0..8 {
        let events: Vec<String> =
            (0..500).map(|n| format!(r#"{{"type":"T","data":{{"n":{}}}}}"#, chunk * 500 + n)).collect();
        let body = format!(r#"{{"expectedVersion":"any","events":[{}]}}"#, events.join(","));
        sidecar.client.post("/v1/streams/Many-1", body).await.ok();
    }
    for (path, expected) in [
        ("/v1/events", (0..4_000).collect::<Vec<u64>>()),
        ("/v1/streams/Many-1", (0..4_000).collect()),
        ("/v1/events?direction=backward&limit=3", vec![3_999, 3_998, 3_997]),
        ("/v1/events?limit=2", vec![0, 1]),
        ("/v1/events?filter=event.data.n%20%3E%3D%203998", vec![3_998, 3_999]),
        ("/v1/streams/Many-1?from=3999", vec![3_998, 3_999]),
    ] {
        let answer = sidecar.client.get_as(path, "application/x-ndjson").await.ok();
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        assert!(answer.header("polylog-token").is_some());
        let number = |line: &str| {
            let event: Value = serde_json::from_str(line).expect("a line of JSON");
            event["data"]["n"].as_u64().expect("a number")
        };
        let seen: Vec<u64> = answer.text().lines().map(number).collect();
        assert_eq!(seen, expected, "{path}");
    }
}

#[tokio::test]
async fn an_event_is_found_by_its_id() {
    let sidecar = filled().await;
    let page = sidecar.client.get("/v1/events?limit=1").await.ok().json();
    let event = &page["events"][0];
    let id = event["id"].as_str().expect("an id");
    assert_eq!(&sidecar.client.get(&format!("/v1/events/{id}")).await.ok().json(), event);
    let locations = sidecar.client.get(&format!("/v1/events/{id}/locations")).await.ok().json();
    assert_eq!(locations["position"], event["position"]);
    let location = &locations["locations"][0];
    assert_eq!((&location["source"], &location["present"]), (&json!("ledger"), &json!(true)));
    assert_eq!(location["digest"], event["digest"]);
    let unknown = "/v1/events/00000000-0000-7000-8000-000000000000";
    assert_eq!(sidecar.client.get(unknown).await.status, 404);
    sidecar.client.get(unknown).await.problem("event_not_found");
    sidecar.client.get(&format!("{unknown}/locations")).await.problem("event_not_found");
    sidecar.client.get("/v1/events/17").await.problem("invalid_request");
}

#[tokio::test]
async fn a_streams_head_is_its_last_event() {
    let sidecar = filled().await;
    let head = sidecar.client.get("/v1/streams/Payment-1/head").await.ok().json();
    assert_eq!((&head["version"], &head["last"]["data"]["n"]), (&json!(3), &json!(5)));
    for path in ["/v1/streams/None-1", "/v1/streams/None-1/head"] {
        let answer = sidecar.client.get(path).await;
        assert_eq!(answer.status, 404);
        answer.problem("stream_not_found");
    }
}

#[tokio::test]
async fn tokens_are_checked_against_the_history() {
    let sidecar = filled().await;
    let token = sidecar.client.get("/v1/events").await.header("polylog-token").expect("a token").to_owned();
    sidecar.client.get(&format!("/v1/events?token={token}")).await.ok();
    let as_header = [("polylog-token", token.as_str())];
    sidecar.client.send(http::Method::GET, "/v1/events", &as_header, "").await.ok();
    sidecar.client.get("/v1/events?token=nonsense").await.problem("invalid_request");

    let other = filled().await;
    other.client.get(&format!("/v1/events?token={token}")).await.problem("wrong_store");

    // a token of the same log whose history went another way: its chain differs
    let mut bytes = base64_url(&token);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let forked = sidecar.client.get(&format!("/v1/events?token={}", to_base64_url(&bytes))).await;
    assert_eq!(forked.status, 410);
    forked.problem("history_forked");
    let mut ahead = base64_url(&token);
    ahead[12] = 0xff;
    let waiting = sidecar.client.get(&format!("/v1/events?token={}", to_base64_url(&ahead))).await;
    assert_eq!(waiting.status, 410, "the only voter had it once, and has it no more");
    waiting.problem("history_forked");
}

fn base64_url(text: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).expect("base64")
}

fn to_base64_url(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let sidecar = filled().await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("from=-1", "from"),
        ("from=9007199254740992", "from"),
        ("direction=up", "direction"),
        ("lane=1", "lane"),
        ("types=", "types"),
        ("types=a,,b", "types"),
        ("since=yesterday", "since"),
        ("since=2001-01-01T00:00:00Z&until=2000-01-01T00:00:00Z", "until"),
        ("consistency=lax", "consistency"),
        ("consistency=bounded", "maxLag"),
        ("maxLag=5", "maxLag"),
        ("includeSystem=1", "includeSystem"),
        ("unknown=1", "unknown"),
        ("limit=1&limit=2", "limit"),
    ] {
        let answer = sidecar.client.get(&format!("/v1/events?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.problem("invalid_request")["facts"]["parameter"], parameter, "{query}");
    }
    for filter in ["event.", "nonsense", "event.data.l.map(x,%20x)", &"(".repeat(50)] {
        let answer = sidecar.client.get(&format!("/v1/events?filter={filter}")).await;
        assert_eq!(answer.status, 400, "{filter}");
        answer.problem("invalid_filter");
    }
    for consistency in ["strong", "eventual", "Session", "bounded&maxLag=2s", "bounded&maxLag=10"] {
        sidecar.client.get(&format!("/v1/events?consistency={consistency}")).await.ok();
    }
    let other = sidecar.client.get_as("/v1/events", "text/html").await;
    assert_eq!(other.status, 406);
    other.problem("not_acceptable");
}

#[tokio::test]
async fn stores_are_listed_and_chosen_by_path() {
    let sidecar = Sidecar::with(Setup { stores: vec!["payments", "orders"], ..Setup::default() }).await;
    sidecar.client.get("/v1/events").await.problem("store_not_found");
    sidecar.client.get("/v1/stores/none/events").await.problem("store_not_found");
    sidecar.client.get("/v1/stores/none").await.problem("store_not_found");
    sidecar.client.append_to("orders", "S-1", "T", "1").await;
    let count = |page: Value| page["events"].as_array().expect("events").len();
    assert_eq!(count(sidecar.client.get("/v1/stores/orders/events").await.ok().json()), 1);
    assert_eq!(count(sidecar.client.get("/v1/stores/payments/events").await.ok().json()), 0);
    let stores = sidecar.client.get("/v1/stores").await.ok().json();
    let names: Vec<_> =
        stores["stores"].as_array().expect("stores").iter().map(|store| store["name"].clone()).collect();
    assert_eq!(names, ["orders", "payments"]);
    let store = sidecar.client.get("/v1/stores/orders").await.ok().json();
    assert_eq!((&store["primary"], &store["sources"][0]["state"]), (&json!("ledger"), &json!("InSync")));
    assert_eq!(store["verbs"].as_array().map(Vec::len), Some(8));
    let setup =
        Setup { stores: vec!["payments", "orders"], default_store: Some("orders"), ..Setup::default() };
    let sidecar = sidecar.restart(setup).await;
    assert_eq!(count(sidecar.client.get("/v1/events").await.ok().json()), 1);
}
