//! With `delivery: Gateway` a sidecar serves the same interface without a credential of a database.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{fs, path::PathBuf, sync::LazyLock};

use http_body_util::BodyExt;
use polylog_api::{
    grpc::detail_of,
    proto::polylog::{admin::v1 as admin, v1},
};
use polylog_test_bed::PostgresServer;
use serde_json::{Value, json};
use support::{
    Client,
    mounted::{Process, STORE, Serving, Volume, append, until},
    remote::commit,
    server::{LogServer, provision},
    tokens::{ISSUER, Key, claims, published},
    way::Way,
    writers::Writers,
};
use tempfile::TempDir;
use uuid::Uuid;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

const SPEC: &str = "spec:
  delivery: Gateway
  access:
    - {serviceAccounts: [{name: checkout}], verbs: [append, read, subscribe, admin], categories: [Payment, Writer]}
    - {serviceAccounts: [{namespace: reports, name: \"*\"}], verbs: [read]}
  events: {enrich: [ServiceAccount, Pod]}";

fn manifest() -> String {
    STORE.replace("spec:", SPEC)
}

/// A gateway as the operator starts it.
async fn gateway(volume: &Volume) -> Serving {
    Process::spawn("gateway", volume, &["--port", "0", "--health-port", "0", "--pods-tls"]).serving().await
}

/// A store, its gateway, and a way to it.
struct Bed {
    key: Key,
    volume: Volume,
    /// PEM.
    authority: String,
    way: Way,
    gateway: Serving,
    tokens: TempDir,
}

impl Bed {
    async fn start() -> Self {
        let place = SERVER.new_place();
        provision(&*SERVER, &place).await;
        let key = Key::es256();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (authority, private) = (made.cert.pem(), made.signing_key.serialize_pem());
        let mut volume = Volume::of(&manifest(), &SERVER.admin_url(&place));
        volume.set(&[
            ("store/issuer", ISSUER),
            ("store/jwks.json", &published(&[("a", &key)])),
            ("store/tls.crt", &authority),
            ("store/tls.key", &private),
        ]);
        let gateway = gateway(&volume).await;
        let way = Way::to(gateway.pods_port.unwrap()).await;
        Self { key, volume, authority, way, gateway, tokens: TempDir::new().unwrap() }
    }

    /// What a pod has mounted: no source.
    fn volume_of_pod(&self) -> Volume {
        let address = format!("localhost:{}\n", self.way.port);
        Volume::new(&[
            ("store/eventstore.yaml", &manifest()),
            ("store/gateway-address", &address),
            ("store/gateway-ca.crt", &self.authority),
        ])
    }

    fn token(&self, account: &str) -> PathBuf {
        let path = self.tokens.path().join(account.replace('/', "."));
        fs::write(&path, self.key.token("a", account)).unwrap();
        path
    }

    /// A sidecar, and what is mounted for it.
    async fn sidecar(&self, account: &str) -> (Serving, Volume) {
        let (volume, token) = (self.volume_of_pod(), self.token(account));
        let arguments = ["--port", "0", "--health-port", "0", "--token", token.to_str().unwrap()];
        (Process::spawn("sidecar", &volume, &arguments).serving().await, volume)
    }
}

/// The events of a stream.
async fn events(client: &Client, stream: &str) -> Vec<Value> {
    let page = client.get(&format!("/v1/streams/{stream}?limit=1000")).await.ok().json();
    page["events"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_interface_is_the_same_and_access_too() {
    let bed = Bed::start().await;
    let (sidecar, _mounted) = bed.sidecar("shop/checkout").await;
    let client = &sidecar.client;
    until("it appends", || async { append(client, "Payment-1").await.status.is_success().then_some(()) })
        .await;

    let body = r#"{"expectedVersion":1,"events":[{"type":"Paid","data":{"a":"ü"}}]}"#;
    let written = client.post("/v1/stores/payments/streams/Payment-1", body).await;
    assert_eq!((written.status.as_u16(), written.json()["lastVersion"].clone()), (201, json!(2)));
    let token = written.header("polylog-token").unwrap().to_owned();
    let conflict = client.post("/v1/streams/Payment-1?missed=5", body).await.problem("version_conflict");
    assert_eq!(conflict["conflicts"][0]["missed"].as_array().unwrap().len(), 1, "{conflict}");
    let page = client.get(&format!("/v1/streams/Payment-1?token={token}")).await.ok().json();
    let second = &page["events"][1];
    assert_eq!((&second["data"], &second["metadata"]["$by"]), (&json!({"a": "ü"}), &json!("shop/checkout")));
    assert_eq!(second["metadata"]["$pod"], "checkout-1", "the gateway knows the pod by its token");
    let commits =
        r#"{"appends":[{"stream":"Payment-a%/b","expectedVersion":"noStream","events":[{"type":"Paid"}]}]}"#;
    client.post("/v1/commits", commits).await.ok();
    assert_eq!(events(client, "Payment-a%25%2Fb").await.len(), 1, "names are handed on as they are");
    client.post("/v1/streams/Order-1", body.replace("1,", "\"any\",")).await.problem("access_denied");
    client.post("/v1/streams/Payment-1", "{").await.problem("invalid_request");
    client.get("/v1/streams/Payment-1?nonsense=1").await.problem("invalid_request");
    client.get("/v1/models").await.problem("not_supported");
    client.get("/v1/search").await.problem("access_denied");
    let evil = [("origin", "https://evil.example")];
    client.send(http::Method::GET, "/v1/events", &evil, "").await.problem("forbidden_origin");
    let lines = client.get_as("/v1/events", "application/x-ndjson").await.ok().text();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let until_last = format!("/v1/subscribe?until={}", last["position"]);
    let ended = client.get_as(&until_last, "text/event-stream").await.ok().text();
    assert_eq!(ended.matches("event: event").count(), 3, "{ended}");
    let head = client.send(http::Method::HEAD, "/v1/streams/Payment-1", &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));

    // what is said of the store is the gateway's, but for what is this process's own
    let list = client.get("/v1/stores").await.ok().json();
    let status = sidecar.status("payments").await;
    assert_eq!(list["stores"][0]["name"], "payments");
    assert_eq!(status["verbs"], json!(["append", "read", "subscribe", "admin"]));
    assert_eq!(
        (&status["primary"], &status["configuration"]["state"]),
        (&json!("ledger"), &json!("InForce"))
    );

    let remote = &sidecar.remote;
    let answer = remote.append_one("Payment-g", "Paid", "1").await;
    assert_eq!(answer.results[0].last_version, 1);
    let request = v1::ReadLogRequest { store: "payments".into(), ..Default::default() };
    let mut frames = remote.events().read_log(request).await.unwrap().into_inner();
    let mut seen = 0;
    while let Some(frame) = frames.message().await.unwrap() {
        seen += usize::from(matches!(frame.frame, Some(v1::read_frame::Frame::Event(_))));
    }
    assert_eq!(seen, 4);
    let store = remote.stores().get_store(v1::GetStoreRequest::default()).await.unwrap().into_inner();
    assert_eq!(store.name, "payments");
    remote.admin().get_status(admin::GetStatusRequest::default()).await.unwrap();
    let denied = commit("Order-1", v1::expected::Kind::Any(true), &[("Paid", "1")]);
    let denied = remote.append(denied).await.unwrap_err();
    assert_eq!(detail_of(denied.details()).unwrap().code, "access_denied");
    let unknown = v1::ReadLogRequest { store: "other".into(), ..Default::default() };
    let unknown = remote.events().read_log(unknown).await.unwrap_err();
    assert_eq!(detail_of(unknown.details()).unwrap().code, "store_not_found");

    // one connection carries what is answered at once and one what goes on, and nothing of what is not mounted is asked for
    assert_eq!(bed.way.connections.load(std::sync::atomic::Ordering::Relaxed), 2);
    let said = sidecar.process.said();
    assert!(!said.contains("\"level\":\"ERROR\"") && !said.contains("Bearer"), "{said}");

    // another account's sidecar may do what that account may
    let (other, _mounted_too) = bed.sidecar("reports/monthly").await;
    assert_eq!(events(&other.client, "Payment-1").await.len(), 2);
    append(&other.client, "Payment-1").await.problem("access_denied");
    let (nobody, _mounted_as_well) = bed.sidecar("shop/nobody").await;
    nobody.client.get("/v1/events").await.problem("access_denied");
    nobody.client.get("/v1/stores/payments").await.problem("access_denied");
    assert_eq!(nobody.client.get("/v1/stores").await.ok().json()["stores"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_or_doubled_when_the_gateway_goes() {
    let bed = Bed::start().await;
    let (sidecar, _mounted) = bed.sidecar("shop/checkout").await;
    let client = &sidecar.client;
    until("it appends", || async { append(client, "Payment-0").await.status.is_success().then_some(()) })
        .await;

    // an answer gets lost: the append is sent again, and is there once, with ids and without
    let id = Uuid::new_v4();
    for (stream, body) in [
        (
            "Payment-none",
            r#"{"expectedVersion":"any","events":[{"type":"Paid"},{"type":"Paid"}]}"#.to_owned(),
        ),
        ("Payment-ids", format!(r#"{{"expectedVersion":"any","events":[{{"type":"Paid","id":"{id}"}}]}}"#)),
    ] {
        bed.way.lose_next();
        let answer = client.post(&format!("/v1/streams/{stream}"), body.clone()).await.ok();
        assert!(bed.way.has_lost(), "{stream}");
        let found = events(client, stream).await;
        assert_eq!(found.len(), body.matches("Paid").count(), "{stream}: {found:?}");
        assert_eq!(answer.json()["lastVersion"], found.len());
    }
    bed.way.lose_next();
    assert_eq!(sidecar.remote.append_one("Payment-call", "Paid", "1").await.results[0].last_version, 1);
    assert!(bed.way.has_lost());
    assert_eq!(events(client, "Payment-call").await.len(), 1);
    // some ids and others none: nothing would know it again, so that it is not sent again
    let some = format!(
        r#"{{"expectedVersion":"any","events":[{{"type":"Paid","id":"{}"}},{{"type":"Paid"}}]}}"#,
        Uuid::new_v4()
    );
    bed.way.lose_next();
    client.post("/v1/streams/Payment-some", some).await.problem("outcome_unknown");
    let answer = client.get("/v1/streams/Payment-some").await;
    let written = answer.status.is_success().then(|| answer.json()["events"].as_array().unwrap().len());
    assert!(matches!(written, None | Some(2)), "{written:?}");
    bed.way.lose_next();
    assert_eq!(events(client, "Payment-none").await.len(), 2, "a read is sent again");
    assert!(bed.way.has_lost());

    // one gateway takes over from another, by surprise and in order, and every append is there once
    let writers = Writers::start_patient(client);
    let mut serving = bed.gateway;
    for in_order in [false, true, false] {
        writers.go_on(3).await;
        let next = gateway(&bed.volume).await;
        bed.way.leads_to(next.pods_port.unwrap());
        if in_order {
            serving.process.terminate();
            serving.process.ended().await;
        } else {
            drop(serving);
        }
        serving = next;
        writers.go_on(3).await;
    }
    writers.end().await;

    // a subscription says that it ends, and goes on from its last id
    let begun = client.open(client.request(http::Method::GET, "/v1/subscribe?from=now", &[], "")).await;
    assert_eq!(begun.status().as_u16(), 200);
    let frames = tokio::spawn(begun.into_body().collect());
    // without a gateway: the codes of a source that is away
    bed.way.leads_to(1);
    drop(serving);
    let frames = String::from_utf8(frames.await.unwrap().unwrap().to_bytes().into()).unwrap();
    assert!(frames.contains("event: error") && frames.contains("source_unavailable"), "{frames}");
    let soon = [("polylog-timeout", "300ms"), ("content-type", "application/json")];
    // each connection tells its end for itself: what is sent by one that has not yet may have come to the gateway
    let head = "/v1/streams/Payment-9/head";
    client.send(http::Method::GET, head, &soon[..1], "").await.problem("source_unavailable");
    let body = r#"{"expectedVersion":"any","events":[{"type":"Paid"}]}"#;
    let answer = client.send(http::Method::POST, "/v1/streams/Payment-9", &soon, body).await;
    let problem = answer.problem("source_unavailable");
    assert_eq!((&problem["written"], &problem["retry"]), (&json!("nothing"), &json!(true)));
    client.send(http::Method::GET, "/v1/events", &soon[..1], "").await.problem("source_unavailable");
    // one that is there and says nothing has seen nothing either
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bed.way.leads_to(silent.local_addr().unwrap().port());
    let answer = client.send(http::Method::POST, "/v1/streams/Payment-9", &soon, body).await;
    assert_eq!(answer.problem("source_unavailable")["written"], "nothing");
    bed.way.leads_to(1);
    let mut call = tonic::Request::new(commit("Payment-9", v1::expected::Kind::Any(true), &[("Paid", "1")]));
    call.set_timeout(std::time::Duration::from_millis(300));
    let failed = sidecar.remote.events().append(call).await.unwrap_err();
    assert_eq!(detail_of(failed.details()).unwrap().code, "source_unavailable");
    sidecar.health.get("/readyz").await.ok();
    let waits = append(client, "Payment-waits");
    let back = async {
        let next = gateway(&bed.volume).await;
        bed.way.leads_to(next.pods_port.unwrap());
        next
    };
    // whether it comes back in time depends on the machine; what was not acknowledged is not doubled either way
    let (answer, _gateway) = tokio::join!(waits, back);
    let is_written = usize::from(answer.status.is_success());
    assert!(is_written == 1 || answer.json()["code"] == "source_unavailable", "{}", answer.text());
    until("it is back", || async { append(client, "Payment-9").await.status.is_success().then_some(()) })
        .await;
    if is_written == 1 {
        assert_eq!(events(client, "Payment-waits").await.len(), 1);
    } else {
        client.get("/v1/streams/Payment-waits").await.problem("stream_not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_renewed_and_stores_of_other_namespaces_are_their_gateways_to_grant() {
    let bed = Bed::start().await;
    let address = format!("localhost:{}", bed.way.port);
    let gateways = json!([
        { "store": "shop/payments", "address": address, "authority": bed.authority },
        { "store": "shop/later", "address": address },
    ]);
    // a pod of another namespace: its own store is elsewhere
    let own = bed.volume_of_pod();
    let token = bed.tokens.path().join("renewed");
    // it names its account, and no cluster signed it
    let stale = Key::es256().sign(&json!({"alg": "ES256", "kid": "a"}), &claims("reports/monthly"));
    fs::write(&token, stale).unwrap();
    let (gateways, token_path) = (gateways.to_string(), token.to_str().unwrap());
    let arguments =
        ["--port", "0", "--health-port", "0", "--token", token_path, "--gateways", gateways.as_str()];
    let sidecar = Process::spawn("sidecar", &own, &arguments).serving().await;
    let client = &sidecar.client;
    let there = "/v1/stores/shop%2Fpayments";
    let problem = client.get(&format!("{there}/events")).await.problem("source_refused");
    assert_eq!(problem["facts"]["reason"], "auth", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("signature"), "{problem}");
    fs::write(&token, bed.key.token("a", "reports/monthly")).unwrap();
    until("the next token is taken", || async {
        let answer = client.get(&format!("{there}/events")).await;
        answer.status.is_success().then_some(())
    })
    .await;
    let status = client.get(there).await.ok().json();
    assert_eq!((&status["name"], &status["verbs"]), (&json!("shop/payments"), &json!(["read"])));
    let body = r#"{"expectedVersion":"any","events":[{"type":"Paid"}]}"#;
    client.post(&format!("{there}/streams/Payment-1"), body).await.problem("access_denied");
    client.get("/v1/stores/shop%2Flater/events").await.problem("invalid_configuration");
    let list = client.get("/v1/stores").await.ok().json();
    let names: Vec<&Value> = list["stores"].as_array().unwrap().iter().map(|store| &store["name"]).collect();
    assert_eq!(names, [&json!("payments"), &json!("shop/payments")]);
    let request = v1::ReadLogRequest { store: "shop/payments".into(), ..Default::default() };
    sidecar.remote.events().read_log(request).await.unwrap();

    // somebody else's certificate is not taken, and nothing is sent to it
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut wrong = bed.volume_of_pod();
    wrong.set(&[("store/gateway-ca.crt", &made.cert.pem())]);
    let token = bed.token("shop/checkout");
    let arguments = ["--port", "0", "--health-port", "0", "--token", token.to_str().unwrap()];
    let sidecar = Process::spawn("sidecar", &wrong, &arguments).serving().await;
    let soon = [("polylog-timeout", "500ms")];
    let problem = sidecar.client.send(http::Method::GET, "/v1/events", &soon, "").await;
    let problem = problem.problem("source_unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("certificate"), "{problem}");
    // until what is mounted is right
    wrong.set(&[("store/gateway-ca.crt", &bed.authority)]);
    until("it is reached", || async {
        sidecar.client.get("/v1/events").await.status.is_success().then_some(())
    })
    .await;
    wrong.remove("store/gateway-ca.crt");
    let found = sidecar.until_configuration("Refused").await;
    assert!(found["message"].as_str().unwrap().contains("gateway-ca.crt is not mounted"), "{found}");
    sidecar.client.get("/v1/events").await.ok();
}
