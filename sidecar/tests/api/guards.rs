//! What a web page, a broken client or a flood can do: nothing but get an answer with a code.

use std::time::Duration;

use http::Method;
use polylog_sidecar::http::Bounds;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Setup, Sidecar};
use crate::support::{Client, client::Answer};

const BODY: &str = r#"{"expectedVersion":"any","events":[{"type":"T"}]}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn web_pages_are_kept_out() {
    let sidecar = Sidecar::start().await;
    let send = async |headers: &[(&str, &str)]| {
        sidecar.client.send(Method::POST, "/v1/streams/S-1", headers, BODY).await
    };
    for origin in ["https://evil.example", "null", "http://localhost:3000"] {
        let answer = send(&[JSON, ("origin", origin)]).await;
        assert_eq!(answer.status, 403, "{origin}");
        answer.problem("forbidden_origin");
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let headers: &[(&str, &str)] =
            if content_type.is_empty() { &[] } else { &[("content-type", content_type)] };
        let answer = send(headers).await;
        assert_eq!(answer.status, 415, "{content_type}");
        answer.problem("unsupported_media_type");
    }
    send(&[JSON, ("host", "evil.example")]).await.problem("forbidden_origin");
    send(&[JSON, ("host", "localhost:1")]).await.ok();
}

#[tokio::test]
async fn unknown_paths_and_methods_have_codes() {
    let sidecar = Sidecar::start().await;
    for path in ["/", "/v1", "/v2/events", "/v1/streams", "/v1/streams/a/b", "/v1/stores/payments/x"] {
        let answer = sidecar.client.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        answer.problem("not_found");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/v1/streams/S-1", "GET, HEAD, POST"),
        (Method::PUT, "/v1/events", "GET, HEAD"),
        (Method::GET, "/v1/commits", "POST"),
        (Method::OPTIONS, "/v1/events", "GET, HEAD"),
        (Method::POST, "/openapi.json", "GET, HEAD"),
    ] {
        let answer = sidecar.client.send(method, path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some(allow)), "{path}");
        answer.problem("method_not_allowed");
    }
    for (method, path) in [
        (Method::GET, "/v1/models?q=x"),
        (Method::GET, "/v1/stores/payments/groups"),
        (Method::GET, "/v1/models/m/k"),
        (Method::PUT, "/v1/groups/g"),
        (Method::POST, "/v1/groups/g/pull"),
    ] {
        let answer = sidecar.client.send(method, path, &[], "").await;
        assert_eq!(answer.status, 501, "{path}");
        answer.problem("not_supported");
    }
    let long = format!("/v1/events?types={}", "x".repeat(9_000));
    assert_eq!(sidecar.client.get(&long).await.status, 413);
    sidecar.client.get(&long).await.problem("limit_exceeded");
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let sidecar = Sidecar::start().await;
    let event = sidecar.client.append("S-1", "T", "1").await;
    let id = event["results"][0]["eventIds"][0].as_str().unwrap_or("none").to_owned();
    let by_id = format!("/v1/events/{id}");
    for path in [
        "/openapi.json",
        "/v1/stores",
        "/v1/stores/payments",
        "/v1/streams/S-1",
        "/v1/streams/S-1/head",
        "/v1/streams/S-2",
        "/v1/events",
        &by_id,
        "/v1/search",
        "/v1/nowhere",
    ] {
        let get = sidecar.client.get(path).await;
        let head = sidecar.client.send(Method::HEAD, path, &[], "").await;
        assert_eq!(head.status, get.status, "{path}");
        let without_date = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("date");
            headers
        };
        assert_eq!(without_date(&head), without_date(&get), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    for (path, accept) in [("/v1/subscribe", "text/event-stream"), ("/v1/events", "application/x-ndjson")] {
        let head = sidecar.client.send(Method::HEAD, path, &[("accept", accept)], "").await;
        assert_eq!((head.status.as_u16(), head.header("content-type")), (200, Some(accept)), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    let commits = sidecar.client.send(Method::HEAD, "/v1/commits", &[], "").await;
    assert_eq!((commits.status.as_u16(), commits.header("allow")), (405, Some("POST")));
    sidecar.client.append("S-1", "T", "2").await;
}

/// Sends raw bytes and reads until the server closes.
async fn raw(sidecar: &Sidecar, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", sidecar.running.port())).await.expect("a connection");
    stream.write_all(request).await.expect("sent");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("in time").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection_and_nothing_else() {
    let sidecar = Sidecar::start().await;
    for request in [&b"nonsense\r\n\r\n"[..], b"GET /v1/events HTTP/9.9\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"] {
        let answer = raw(&sidecar, request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let no_host = raw(&sidecar, b"GET /v1/events HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(no_host.contains("forbidden_origin"), "{no_host}");
    let two_hosts = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n";
    assert!(raw(&sidecar, two_hosts).await.contains("forbidden_origin"));
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let answer =
        raw(&sidecar, format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    sidecar.client.get("/v1/events").await.ok();
}

#[tokio::test]
async fn both_loopback_addresses_and_http2_are_served() {
    let sidecar = Sidecar::start().await;
    let port = sidecar.running.port();
    if let Ok(mut stream) = TcpStream::connect(("::1", port)).await {
        let request = format!("GET /v1/stores HTTP/1.1\r\nHost: [::1]:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let http2 = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http::<http_body_util::Full<bytes::Bytes>>();
    let uri = format!("http://localhost:{port}/v1/stores").parse().expect("a URI");
    let answer = http2.get(uri).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
}

#[tokio::test]
async fn too_much_at_once_is_refused_with_a_pause() {
    let bounds = Bounds { streams: 1, body_bytes: 64 << 10, ..Bounds::default() };
    let sidecar = Sidecar::with(Setup { bounds, ..Setup::default() }).await;
    let first = sidecar.client.open(sidecar.client.request(Method::GET, "/v1/subscribe", &[], "")).await;
    assert_eq!(first.status(), 200);
    for path in ["/v1/subscribe", "/v1/events"] {
        let answer = sidecar.client.get_as(path, "text/event-stream, application/x-ndjson").await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, Some("1")), "{path}");
        answer.problem("overloaded");
    }
    drop(first);

    // somebody announces a large body and does not send it
    let mut slow = TcpStream::connect(("127.0.0.1", sidecar.running.port())).await.expect("a connection");
    let head = b"POST /v1/streams/S-1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nPolylog-Timeout: 1s\r\nContent-Length: 65000\r\n\r\n{";
    slow.write_all(head).await.expect("sent");
    let overloaded = async {
        loop {
            let answer = sidecar.client.post("/v1/streams/S-1", format!("{BODY}{}", " ".repeat(2_000))).await;
            if answer.status == 429 {
                break answer.problem("overloaded");
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), overloaded)
        .await
        .expect("refused while the body is awaited");
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(Duration::from_secs(5), slow.read(&mut answer)).await.expect("in time");
    let answer = String::from_utf8_lossy(&answer[..read.expect("an answer")]).into_owned();
    assert!(answer.contains("did not arrive in time"), "{answer}");
    sidecar.client.post("/v1/streams/S-1", BODY).await.ok();
}

#[tokio::test]
async fn the_admin_port_tells_how_it_is() {
    let sidecar = Sidecar::start().await;
    sidecar.client.append("S-1", "T", "1").await;
    let admin = Client::new(sidecar.running.health_port());
    assert_eq!(admin.get("/livez").await.ok().text(), "ok\n");
    assert_eq!(admin.get("/readyz").await.ok().text(), "ok\n");
    let answer = admin.get_as("/metrics", "application/openmetrics-text").await.ok();
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let metrics = answer.text();
    for line in [
        "polylog_appends_total{store=\"payments\",outcome=\"committed\"} 1",
        "polylog_append_duration_seconds_count{store=\"payments\",phase=\"total\",source=\"ledger\"} 1",
        "polylog_source_up{store=\"payments\",source=\"ledger\"} 1",
        "polylog_http_requests_total{operation=\"append\",status=\"201\"} 1",
        "polylog_position{store=\"payments\"} 4",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("S-1"), "streams are never labels");
    assert!(metrics.ends_with("# EOF\n"));
    let plain = admin.get("/metrics").await.ok();
    assert!(plain.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(plain.text().contains("# TYPE polylog_appends_total counter\n"));
    assert_eq!(admin.get("/v1/events").await.status, 404);
}

#[tokio::test]
async fn a_stop_refuses_new_work_and_finishes_what_was_taken() {
    let sidecar = Sidecar::start().await;
    let admin = Client::new(sidecar.running.health_port());
    let port = sidecar.running.port();
    let client = sidecar.client.clone();
    let writer = tokio::spawn(async move {
        let mut acknowledged = 0;
        loop {
            let answer = client.post("/v1/streams/S-1", BODY).await;
            match answer.status.as_u16() {
                201 => acknowledged += 1,
                _ => {
                    answer.problem("draining");
                    return acknowledged;
                }
            }
        }
    });
    while sidecar.client.get("/v1/streams/S-1/head").await.status != 200 {}
    sidecar.running.server().drain.begin();
    let refused = tokio::time::timeout(Duration::from_secs(5), writer).await;
    let acknowledged = refused.expect("in time").expect("refused at last");
    assert_eq!(admin.get("/readyz").await.status, 503);
    let answer = sidecar.client.get("/v1/events").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));
    let sidecar = sidecar.restart(Setup::default()).await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "the old port is closed");
    let head = sidecar.client.get("/v1/streams/S-1/head").await.ok().json();
    assert_eq!(head["version"], acknowledged);
}
