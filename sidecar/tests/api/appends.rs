//! What is appended is what is read, or nothing is written and the answer says why.

use serde_json::{Value, json};

use super::{Setup, Sidecar};

const PAID: &str = r#"{"expectedVersion":0,"events":[{"type":"Paid","data":{"amount":"100.00"}}]}"#;

/// How many events the log holds that are not its own.
async fn events_in(sidecar: &Sidecar) -> usize {
    let read = sidecar.client.get("/v1/events?limit=1000").await.ok().json();
    read["events"].as_array().expect("events").len()
}

#[tokio::test]
async fn an_append_is_answered_and_read_back() {
    let sidecar = Sidecar::start().await;
    let appended = sidecar.client.post("/v1/streams/Payment-p1", PAID).await;
    assert_eq!(appended.status, 201, "{}", appended.text());
    let answer = appended.json();
    assert_eq!((&answer["stream"], &answer["firstVersion"]), (&json!("Payment-p1"), &json!(1)));
    assert_eq!((&answer["acks"], &answer["repeated"]), (&json!(["ledger"]), &json!(false)));
    let read = sidecar.client.get("/v1/streams/Payment-p1").await.ok();
    let page = read.json();
    assert_eq!(page["events"][0]["data"], json!({"amount": "100.00"}));
    assert_eq!((&page["nextFrom"], &page["atEnd"]), (&json!(2), &json!(true)));
    assert_eq!(page["served"], json!({"source": "ledger", "position": answer["lastPosition"], "lag": 0}));
    assert_eq!(read.header("polylog-token"), answer["token"].as_str());
    assert_eq!(read.header("polylog-source"), Some("ledger"));
}

#[tokio::test]
async fn payloads_come_back_byte_for_byte() {
    let sidecar = Sidecar::start().await;
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    let payloads = [
        r#"{"z":1,"a":2,"z":3}"#,
        "1e400",
        "9007199254740993",
        "-0",
        r#""\u0000""#,
        r#""\ud800""#,
        "{ \"a\" : [ 1 , 2 ] , \"b\":\t{} }",
        "\"\u{1f600} \u{2028} é\"",
        "null",
        r#""\/ \u0041""#,
        &deep,
    ];
    for (index, payload) in payloads.iter().enumerate() {
        let stream = format!("Verbatim-{index}");
        sidecar.client.append(&stream, "T", payload).await;
        let paths = [
            (format!("/v1/streams/{stream}"), "application/json"),
            (format!("/v1/streams/{stream}"), "application/x-ndjson"),
            (format!("/v1/streams/{stream}/head"), "application/json"),
            (format!("/v1/streams/{stream}"), "application/cloudevents-batch+json"),
        ];
        for (path, accept) in paths {
            let answer = sidecar.client.get_as(&path, accept).await.ok();
            let expected = format!("\"data\":{payload}");
            assert!(answer.text().contains(&expected), "{path} {accept}: {:.300}", answer.text());
        }
    }
    let metadata = r#"{ "a":1e400 , "a":"\ud800" }"#;
    let body = format!(r#"{{"expectedVersion":0,"events":[{{"type":"T","metadata":{metadata}}}]}}"#);
    sidecar.client.post("/v1/streams/Meta-1", body).await.ok();
    let read = sidecar.client.get("/v1/streams/Meta-1").await.ok();
    assert!(read.text().contains(&format!("\"metadata\":{metadata}")), "{}", read.text());
}

#[tokio::test]
async fn other_content_travels_in_base64() {
    let sidecar = Sidecar::start().await;
    let body =
        r#"{"expectedVersion":0,"events":[{"type":"T","dataBase64":"/w==","contentType":"image/png"}]}"#;
    sidecar.client.post("/v1/streams/I-1", body).await.ok();
    let event = &sidecar.client.get("/v1/streams/I-1").await.ok().json()["events"][0];
    assert_eq!((&event["dataBase64"], &event["contentType"]), (&json!("/w=="), &json!("image/png")));
    assert_eq!(event.get("data"), None);
}

#[tokio::test]
async fn names_in_paths_are_taken_as_they_are() {
    let sidecar = Sidecar::start().await;
    let streams = [
        ("a%2Fb%2F..%2Fc", "a/b/../c"),
        ("App%5CDomain%5CPaid-1", "App\\Domain\\Paid-1"),
        ("%C3%A9t%C3%A9", "été"),
        ("..", ".."),
        ("a+b%2B", "a+b+"),
    ];
    for (encoded, name) in streams {
        let path = format!("/v1/stores/payments/streams/{encoded}");
        let answer = sidecar.client.post(&path, PAID).await.ok().json();
        assert_eq!(answer["stream"], name);
        let read = sidecar.client.get(&path).await.ok().json();
        assert_eq!(read["events"][0]["stream"], name);
    }
}

#[tokio::test]
async fn an_expected_version_that_does_not_hold_writes_nothing_and_shows_what_was_missed() {
    let sidecar = Sidecar::start().await;
    for data in ["1", "2", "3"] {
        sidecar.client.append("S-1", "T", data).await;
    }
    let conflicting = r#"{"expectedVersion":1,"events":[{"type":"T"}]}"#;
    let answer = sidecar.client.post("/v1/streams/S-1?missed=1", conflicting).await;
    assert_eq!(answer.status, 409);
    let problem = answer.problem("version_conflict");
    let conflict = &problem["conflicts"][0];
    assert_eq!((&conflict["expected"], &conflict["actual"]), (&json!(1), &json!(3)));
    assert_eq!((&conflict["missed"][0]["data"], &conflict["missedTruncated"]), (&json!(2), &json!(true)));
    assert_eq!(problem["nextStep"], "read from version 2 and decide again");
    assert_eq!(problem["written"], "nothing");
    let plain = sidecar.client.post("/v1/streams/S-1", conflicting).await.problem("version_conflict");
    assert_eq!(plain["conflicts"][0].get("missed"), None);
    for (expected, is_good) in
        [("\"noStream\"", false), ("\"exists\"", true), ("\"any\"", true), ("5", true), ("9", false)]
    {
        let body = format!(r#"{{"expectedVersion":{expected},"events":[{{"type":"T"}}]}}"#);
        let answer = sidecar.client.post("/v1/streams/S-1", body).await;
        assert_eq!(answer.status.is_success(), is_good, "{expected}: {}", answer.text());
    }
    assert_eq!(events_in(&sidecar).await, 6);
}

#[tokio::test]
async fn a_retry_is_recognised_by_its_ids_or_its_key() {
    let sidecar = Sidecar::start().await;
    let id = "01a201ec-5616-746e-b924-8e69f6dc7af6";
    let body = |data: &str| {
        format!(r#"{{"expectedVersion":0,"events":[{{"id":"{id}","type":"T","data":{data}}}]}}"#)
    };
    let first = sidecar.client.post("/v1/streams/S-1", body("1")).await;
    let again = sidecar.client.post("/v1/streams/S-1", body("1")).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(
        (&again.json()["repeated"], &again.json()["lastPosition"]),
        (&json!(true), &first.json()["lastPosition"])
    );
    let other = sidecar.client.post("/v1/streams/S-1", body("2")).await;
    assert_eq!(other.problem("id_conflict")["facts"]["id"], id);

    let keyed = async |key: &str, data: &str| {
        let body = format!(r#"{{"expectedVersion":"any","events":[{{"type":"T","data":{data}}}]}}"#);
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        sidecar.client.send(http::Method::POST, "/v1/streams/S-2", &headers, body).await
    };
    assert_eq!(keyed("k1", "1").await.status, 201);
    let repeated = keyed("k1", "1").await;
    assert_eq!((repeated.status.as_u16(), &repeated.json()["repeated"]), (200, &json!(true)));
    assert_eq!(keyed("k2", "1").await.status, 201);
    keyed("k1", "2").await.problem("id_conflict");
    keyed("k é", "1").await.problem("invalid_request");
    assert_eq!(events_in(&sidecar).await, 3);
}

#[tokio::test]
async fn a_header_that_differs_between_tries_does_not_make_a_retry_another_append() {
    let sidecar = Sidecar::start().await;
    let send = async |trace: &str| {
        let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
        let headers =
            [("content-type", "application/json"), ("idempotency-key", "k"), ("traceparent", &traceparent)];
        sidecar.client.send(http::Method::POST, "/v1/streams/S-1", &headers, PAID).await
    };
    assert_eq!(send("0af7651916cd43dd8448eb211c80319c").await.status, 201);
    assert_eq!(send("1af7651916cd43dd8448eb211c80319c").await.status, 200);
    let event = &sidecar.client.get("/v1/streams/S-1").await.json()["events"][0];
    assert_eq!(event["correlationId"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn a_commit_over_several_streams_is_all_or_nothing() {
    let sidecar = Sidecar::start().await;
    let body = r#"{"appends":[
        {"stream":"A-1","expectedVersion":"noStream","events":[{"type":"T","data":1},{"type":"T","data":2}]},
        {"stream":"B-1","expectedVersion":0,"events":[{"type":"T","data":3}],"category":"Other","aggregateId":"x"},
        {"stream":"C-1","expectedVersion":0,"events":[]}]}"#;
    let first = sidecar.client.post("/v1/commits", body).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let results = first.json()["results"].clone();
    assert_eq!(results.as_array().map(Vec::len), Some(2));
    assert_eq!((&results[0]["lastVersion"], &results[1]["firstVersion"]), (&json!(2), &json!(1)));
    sidecar.client.post("/v1/commits", body).await.problem("version_conflict");
    assert_eq!(events_in(&sidecar).await, 3);
    let event = &sidecar.client.get("/v1/streams/B-1").await.json()["events"][0];
    assert_eq!((&event["category"], &event["aggregateId"]), (&json!("Other"), &json!("x")));
    let other = r#"{"expectedVersion":1,"category":"Third","events":[{"type":"T"}]}"#;
    sidecar.client.post("/v1/streams/B-1", other).await.problem("invalid_request");

    let check = r#"{"expectedVersion":2,"events":[]}"#;
    let checked = sidecar.client.post("/v1/streams/A-1", check).await;
    assert_eq!((checked.status.as_u16(), checked.json().get("firstVersion")), (200, None));
    sidecar.client.post("/v1/streams/B-1", check).await.problem("version_conflict");
    assert_eq!(events_in(&sidecar).await, 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let sidecar = Sidecar::start().await;
    let path_of = |problem: &Value| problem["facts"]["path"].as_str().unwrap_or_default().to_owned();
    for (body, code, path) in [
        ("", "invalid_request", ""),
        ("{", "invalid_request", ""),
        ("[]", "invalid_request", ""),
        (r#"{"events":[{"type":"T"}]}"#, "expected_version_required", "expectedVersion"),
        (r#"{"expectedVersion":0}"#, "invalid_request", ""),
        (r#"{"expectedVersion":-1,"events":[]}"#, "invalid_request", "expectedVersion"),
        (r#"{"expectedVersion":"ANY","events":[]}"#, "invalid_request", "expectedVersion"),
        (r#"{"expectedVersion":0,"events":[{"type":"T","extra":1}]}"#, "invalid_request", "events[0].extra"),
        (r#"{"expectedVersion":0,"events":[{"type":"$T"}]}"#, "invalid_request", "events[0].type"),
        (r#"{"expectedVersion":0,"events":[{"type":"T","id":"x"}]}"#, "invalid_request", "events[0].id"),
        (
            r#"{"expectedVersion":0,"events":[{"type":"T","metadata":{"$by":"x"}}]}"#,
            "invalid_request",
            "events[0].metadata",
        ),
        (
            r#"{"expectedVersion":0,"events":[{"type":"T","metadata":[]}]}"#,
            "invalid_request",
            "events[0].metadata",
        ),
        (
            r#"{"expectedVersion":0,"events":[{"type":"T","time":"now"}]}"#,
            "invalid_request",
            "events[0].time",
        ),
        (
            r#"{"expectedVersion":0,"events":[{"type":"T","dataBase64":"*","contentType":"a/b"}]}"#,
            "invalid_request",
            "events[0].dataBase64",
        ),
        (
            r#"{"expectedVersion":0,"events":[{"type":"T","dataBase64":"e3s=","contentType":"application/json"}]}"#,
            "invalid_request",
            "events[0].dataBase64",
        ),
    ] {
        let answer = sidecar.client.post("/v1/streams/S-1", body).await;
        let problem = answer.problem(code);
        assert_eq!((answer.status.as_u16(), &problem["written"]), (400, &json!("nothing")), "{body}");
        assert!(path.is_empty() || path_of(&problem).starts_with(path), "{body}: {problem}");
        assert!(problem["nextStep"].as_str().is_some_and(|step| !step.is_empty()), "{body}");
    }
    let bad_utf8 = b"{\"expectedVersion\":0,\"events\":[{\"type\":\"T\",\"data\":\"\xff\"}]}".to_vec();
    sidecar.client.post("/v1/streams/S-1", bad_utf8).await.problem("invalid_request");
    for stream in ["%24config", "a%00b", "%20a", "%ff", "a%zz", &"x".repeat(201)] {
        sidecar.client.post(&format!("/v1/streams/{stream}"), PAID).await.problem("invalid_request");
    }
    let twice = r#"{"appends":[{"stream":"A","expectedVersion":0,"events":[]},{"stream":"A","expectedVersion":0,"events":[]}]}"#;
    sidecar.client.post("/v1/commits", twice).await.problem("invalid_request");
    sidecar.client.post("/v1/commits", r#"{"appends":[]}"#).await.problem("invalid_request");
    for query in ["acks=0", "missed=x", "missed=1000", "what=1", "acks=1&acks=1", "expectedVersion=1"] {
        let problem =
            sidecar.client.post(&format!("/v1/streams/S-1?{query}"), PAID).await.problem("invalid_request");
        assert_eq!(problem["facts"]["parameter"], query.split('=').next().expect("a name"));
    }
    let timeout = [("content-type", "application/json"), ("polylog-timeout", "soon")];
    sidecar
        .client
        .send(http::Method::POST, "/v1/streams/S-1", &timeout, PAID)
        .await
        .problem("invalid_request");
    for name in ["idempotency-key", "polylog-timeout", "polylog-correlation-id", "content-type"] {
        let twice = [("content-type", "application/json"), (name, "1s"), (name, "2s")];
        let answer = sidecar.client.send(http::Method::POST, "/v1/streams/S-1", &twice, PAID).await;
        assert_eq!(answer.problem("invalid_request")["facts"]["header"], name);
    }
    let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
    sidecar
        .client
        .send(http::Method::POST, "/v1/streams/S-1", &gzip, PAID)
        .await
        .problem("unsupported_media_type");
    sidecar.client.post("/v1/streams/S-1?acks=2", PAID).await.problem("not_supported");
    sidecar.client.post("/v1/streams/S-1?acks=all", PAID).await.ok();
    assert_eq!(events_in(&sidecar).await, 1);
}

#[tokio::test]
async fn limits_are_checked_before_anything_is_written() {
    let mut setup = Setup::default();
    setup.policy.limits =
        polylog_log::Limits { event_bytes: 100, metadata_bytes: 50, commit_events: 3, commit_bytes: 250 };
    let sidecar = Sidecar::with(setup).await;
    let large = format!("\"{}\"", "x".repeat(99));
    let event = |data: &str| format!(r#"{{"type":"T","data":{data}}}"#);
    let body = |events: &[String]| format!(r#"{{"expectedVersion":0,"events":[{}]}}"#, events.join(","));
    let with_metadata = format!(r#"{{"type":"T","metadata":{{"a":"{}"}}}}"#, "x".repeat(50));
    let most = event(&format!("\"{}\"", "x".repeat(98)));
    for (events, limit) in [
        (vec![event(&large)], "eventBytes"),
        (vec![event("1"); 4], "commitEvents"),
        (vec![with_metadata], "metadataBytes"),
        (vec![most.clone(); 3], "commitBytes"),
    ] {
        let answer = sidecar.client.post("/v1/streams/S-1", body(&events)).await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.problem("limit_exceeded")["facts"]["limit"], limit);
    }
    // a body that cannot hold a commit within the limits is not even read to its end
    let huge = vec![b' '; 100_000];
    sidecar.client.post("/v1/streams/S-1", huge).await.problem("limit_exceeded");
    assert_eq!(events_in(&sidecar).await, 0);
    sidecar.client.post("/v1/streams/S-1", body(&[most])).await.ok();
}
