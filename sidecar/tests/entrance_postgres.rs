//! What a caller may do is the same beside its application and in the gateway, over HTTP and over gRPC.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{collections::BTreeMap, sync::LazyLock};

use http_body_util::BodyExt;
use polylog_api::{
    grpc::detail_of,
    proto::polylog::{admin::v1 as admin, v1},
};
use polylog_test_bed::PostgresServer;
use serde_json::{Value, json};
use support::{
    Client, Remote,
    mounted::{Process, STORE, Serving, Volume, append, token_of, until},
    remote::commit,
    server::{LogServer, provision},
    tokens::{ISSUER, Key, bearing, claims, now, published},
};
use tempfile::TempDir;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// Who may do what.
const ACCESS: &str = "spec:
  access:
    - {serviceAccounts: [{name: checkout}], verbs: [append, read], categories: [Payment]}
    - {serviceAccounts: [{name: auditor}, {namespace: reports, name: \"*\"}], verbs: [read, subscribe]}
    - {serviceAccounts: [{name: boss}], verbs: [admin]}
    - {serviceAccounts: [{name: setup}], verbs: [append]}
  events: {enrich: [ServiceAccount, Pod]}";

const OPERATIONS: [&str; 8] = [
    "append Payment",
    "append Order",
    "read Payment",
    "read Order",
    "see log",
    "subscribe",
    "administrate",
    "see store",
];

/// `-` is access_denied; `log` and `store` say what is seen.
const DECISIONS: [(&str, [&str; 8]); 6] = [
    ("shop/checkout", ["ok", "-", "ok", "-", "Payment", "-", "-", "append,read"]),
    ("shop/auditor", ["-", "-", "ok", "ok", "Order,Payment", "ok", "-", "read,subscribe"]),
    ("reports/monthly", ["-", "-", "ok", "ok", "Order,Payment", "ok", "-", "read,subscribe"]),
    ("shop/boss", ["-", "-", "-", "-", "-", "-", "ok", "admin"]),
    ("shop/monthly", ["-", "-", "-", "-", "-", "-", "-", "-"]),
    ("other/checkout", ["-", "-", "-", "-", "-", "-", "-", "-"]),
];

fn of_code(code: &str) -> String {
    if code == "access_denied" { "-".into() } else { code.into() }
}

/// What HTTP decides; it has no administration.
async fn over_http(client: &Client) -> BTreeMap<&'static str, String> {
    let said = |answer: support::client::Answer| {
        if answer.status.is_success() {
            "ok".into()
        } else {
            of_code(answer.json()["code"].as_str().unwrap())
        }
    };
    let mut decided = BTreeMap::new();
    for (operation, stream) in [("append Payment", "Payment-h"), ("append Order", "Order-h")] {
        decided.insert(operation, said(append(client, stream).await));
    }
    for (operation, stream) in [("read Payment", "Payment-1"), ("read Order", "Order-1")] {
        decided.insert(operation, said(client.get(&format!("/v1/streams/{stream}")).await));
    }
    let log = client.get("/v1/events?limit=1000").await;
    let seen = match log.status.is_success() {
        true => {
            categories(log.json()["events"].as_array().unwrap().iter().map(|event| text(&event["category"])))
        }
        false => said(log),
    };
    decided.insert("see log", seen);
    let begun = client.request(http::Method::GET, "/v1/subscribe?from=now", &[], "");
    let begun = client.open(begun).await;
    let subscribed = match begun.status().as_u16() {
        200 => "ok".into(),
        403 => "-".into(),
        other => other.to_string(),
    };
    decided.insert("subscribe", subscribed);
    let store = client.get("/v1/stores/payments").await;
    let verbs = match store.status.is_success() {
        true => store.json()["verbs"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(","),
        false => said(store),
    };
    decided.insert("see store", verbs);
    decided
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn categories(all: impl Iterator<Item = String>) -> String {
    let all: std::collections::BTreeSet<String> = all.collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

/// What gRPC decides.
async fn over_grpc(remote: &Remote, token: &str) -> BTreeMap<&'static str, String> {
    let said = |failure: &tonic::Status| of_code(&detail_of(failure.details()).unwrap().code);
    let mut decided = BTreeMap::new();
    let any = || v1::expected::Kind::Any(true);
    for (operation, stream) in [("append Payment", "Payment-g"), ("append Order", "Order-g")] {
        let outcome = remote.events().append(bearing(token, commit(stream, any(), &[("Paid", "1")]))).await;
        decided.insert(operation, outcome.map_or_else(|failure| said(&failure), |_| "ok".into()));
    }
    for (operation, stream) in [("read Payment", "Payment-1"), ("read Order", "Order-1")] {
        let request = v1::GetStreamHeadRequest { stream: stream.into(), ..Default::default() };
        let outcome = remote.events().get_stream_head(bearing(token, request)).await;
        decided.insert(operation, outcome.map_or_else(|failure| said(&failure), |_| "ok".into()));
    }
    let seen = match remote.events().read_log(bearing(token, v1::ReadLogRequest::default())).await {
        Err(failure) => said(&failure),
        Ok(frames) => {
            let (mut frames, mut seen) = (frames.into_inner(), Vec::new());
            while let Some(frame) = frames.message().await.unwrap() {
                if let Some(v1::read_frame::Frame::Event(event)) = frame.frame {
                    seen.push(event.category);
                }
            }
            categories(seen.into_iter())
        }
    };
    decided.insert("see log", seen);
    let start = Some(v1::subscribe_request::Start::Now(true));
    let request = v1::SubscribeRequest { start, ..Default::default() };
    let outcome = remote.events().subscribe(bearing(token, request)).await;
    decided.insert("subscribe", outcome.map_or_else(|failure| said(&failure), |_| "ok".into()));
    let outcome = remote.admin().get_status(bearing(token, admin::GetStatusRequest::default())).await;
    decided.insert("administrate", outcome.map_or_else(|failure| said(&failure), |_| "ok".into()));
    let verbs = match remote.stores().get_store(bearing(token, v1::GetStoreRequest::default())).await {
        Ok(store) => store.into_inner().verbs.join(","),
        Err(failure) => said(&failure),
    };
    decided.insert("see store", verbs);
    decided
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_is_the_same_in_both_roles_and_over_both_protocols() {
    let place = SERVER.new_place();
    provision(&*SERVER, &place).await;
    let key = Key::es256();
    let mut volume = Volume::of(&STORE.replace("spec:", ACCESS), &SERVER.admin_url(&place));
    volume.set(&[("store/issuer", ISSUER), ("store/jwks.json", &published(&[("a", &key)]))]);
    let gateway = Serving::start("gateway", &volume).await;
    let port = gateway.pods_port.unwrap();
    let in_gateway = Client::new(port);
    let setup = in_gateway.bearing(&key.token("a", "shop/setup"));
    for stream in ["Payment-1", "Order-1"] {
        until("it appends", || async { append(&setup, stream).await.status.is_success().then_some(()) })
            .await;
    }
    let tokens = TempDir::new().unwrap();
    for (account, expected) in DECISIONS {
        let own = token_of(tokens.path(), account);
        let arguments = ["--port", "0", "--health-port", "0", "--token", own.to_str().unwrap()];
        let sidecar = Process::spawn("sidecar", &volume, &arguments).serving().await;
        until("the sidecar serves the log", || async {
            let answer = sidecar.client.get("/v1/events").await;
            (answer.status != 503 && answer.status != 404).then_some(())
        })
        .await;
        let sidecar_port = sidecar.client.port();
        let token = key.token("a", account);
        let expected: BTreeMap<&str, String> =
            OPERATIONS.into_iter().zip(expected.map(str::to_owned)).collect();
        let mut without_admin = expected.clone();
        without_admin.remove("administrate");
        assert_eq!(over_http(&sidecar.client).await, without_admin, "{account}, sidecar, HTTP");
        assert_eq!(over_http(&in_gateway.bearing(&token)).await, without_admin, "{account}, gateway, HTTP");
        // a token on loopback changes nothing: there the process is who it is
        let remote = Remote::new(sidecar_port);
        assert_eq!(over_grpc(&remote, "none").await, expected, "{account}, sidecar, gRPC");
        let remote = Remote::new(port);
        assert_eq!(over_grpc(&remote, &token).await, expected, "{account}, gateway, gRPC");
    }
    // who and where is written down is who brought the token
    let auditor = in_gateway.bearing(&key.token("a", "shop/auditor"));
    let page = auditor.get("/v1/streams/Payment-g").await.ok().json();
    let by = &page["events"][1]["metadata"];
    assert_eq!((&by["$by"], &by["$pod"]), (&"shop/checkout".into(), &"checkout-1".into()), "{page}");
    // one connection, two callers
    in_gateway.bearing(&key.token("a", "shop/setup")).get("/v1/events").await.problem("access_denied");
    in_gateway.bearing(&key.token("a", "shop/auditor")).get("/v1/events").await.ok();
    // a subscription ends with the token that it was begun with: a clock may be late by 30 s, so this one has a few left
    let mut ending = claims("shop/auditor");
    ending["exp"] = json!(now() - 25);
    let ending = in_gateway.bearing(&key.sign(&json!({"alg": "ES256", "kid": "a"}), &ending));
    let begun = ending.open(ending.request(http::Method::GET, "/v1/subscribe?from=now", &[], "")).await;
    assert_eq!(begun.status().as_u16(), 200);
    let frames = tokio::spawn(begun.into_body().collect());
    until("it ends", || async {
        append(&setup, "Payment-2").await.ok();
        frames.is_finished().then_some(())
    })
    .await;
    let frames = String::from_utf8(frames.await.unwrap().unwrap().to_bytes().into()).unwrap();
    assert!(frames.contains("event: event") && frames.contains("unauthenticated"), "{frames}");
    ending.get("/v1/events").await.problem("unauthenticated");
}
