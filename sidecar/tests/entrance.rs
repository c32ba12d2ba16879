//! How other pods come in to a gateway, without a database: tokens good and bad, keys, and those who only take up room.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use polylog_api::proto::polylog::v1;
use serde_json::{Value, json};
use support::{
    Client, Remote,
    mounted::{Process, STORE, Serving, Volume, free_port, until},
    remote::failed,
    tokens::{ISSUER, Key, bearing, claims, encoded, now, published},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Nobody answers here.
const NOWHERE: &str = "postgres://worker:geheim@127.0.0.1:1/shop";

/// A store on which two accounts may do something.
fn manifest() -> String {
    STORE.replace(
        "spec:",
        "spec:\n  access:\n    - {serviceAccounts: [{name: checkout}], verbs: [append, read]}\n    \
         - {serviceAccounts: [{namespace: reports, name: \"*\"}], verbs: [read]}",
    )
}

fn volume(keys: &[(&str, &Key)]) -> Volume {
    let mut volume = Volume::of(&manifest(), NOWHERE);
    volume.set(&[("store/issuer", &format!("{ISSUER}\n")), ("store/jwks.json", &published(keys))]);
    volume
}

/// What the caller may do, over HTTP and over gRPC.
async fn verbs(port: u16, token: &str) -> Value {
    let over_http = Client::new(port).bearing(token).get("/v1/stores/payments").await.ok().json();
    let mut stores = Remote::new(port).stores();
    let over_grpc = stores.get_store(bearing(token, v1::GetStoreRequest::default())).await.unwrap();
    assert_eq!(over_http["verbs"], json!(over_grpc.into_inner().verbs));
    over_http["verbs"].clone()
}

#[tokio::test]
async fn a_request_needs_a_token_that_the_cluster_signed() {
    let (rsa, curve, strange) = (Key::rs256(), Key::es256(), Key::es256());
    let volume = volume(&[("old", &rsa), ("new", &curve)]);
    let gateway = Serving::start("gateway", &volume).await;
    let port = gateway.pods_port.unwrap();
    assert_eq!(verbs(port, &rsa.token("old", "shop/checkout")).await, json!(["append", "read"]));
    assert_eq!(verbs(port, &curve.token("new", "reports/monthly")).await, json!(["read"]));
    // one audience of several is enough
    let mut several = claims("shop/checkout");
    several["aud"] = json!(["api", "polylog"]);
    let header = json!({"alg": "ES256", "kid": "new"});
    assert_eq!(verbs(port, &curve.sign(&header, &several)).await, json!(["append", "read"]));
    // known, and not granted anything
    let nobody = Client::new(port).bearing(&curve.token("new", "shop/nobody"));
    let problem = nobody.get("/v1/stores/payments").await.problem("access_denied");
    assert_eq!(problem["facts"]["subject"], "shop/nobody");
    // on loopback it is still the pod's own account
    let own = gateway.client.get("/v1/stores/payments").await.ok().json();
    assert_eq!(own["verbs"], json!(["append", "read"]));

    let with = |change: fn(&mut Value)| {
        let mut changed = claims("shop/checkout");
        change(&mut changed);
        curve.sign(&header, &changed)
    };
    let good = curve.token("new", "shop/checkout");
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned =
        |header: Value, signature: &str| format!("{}.{}.{signature}", encoded(header.to_string()), parts[1]);
    let by_public_key = {
        let message = format!("{}.{}", encoded(json!({"alg": "HS256", "kid": "new"}).to_string()), parts[1]);
        let document = curve.published("new").to_string();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, document.as_bytes());
        format!("{message}.{}", encoded(ring::hmac::sign(&key, message.as_bytes())))
    };
    let changed_account = {
        let other = encoded(claims("shop/checkout").to_string().replace("checkout", "manager"));
        format!("{}.{other}.{}", parts[0], parts[2])
    };
    let huge = curve.sign(&json!({"alg": "ES256", "kid": "new", "x": "x".repeat(20_000)}), &claims("shop/a"));
    for (what, token, words) in [
        ("no JWT", "geheim".into(), "no token"),
        ("dots", "..".into(), "no token"),
        ("alg none", unsigned(json!({"alg": "none", "kid": "new"}), ""), "no token"),
        (
            "alg none, with its signature",
            unsigned(json!({"alg": "none", "kid": "new"}), parts[2]),
            "no token",
        ),
        ("HS256 with the public key", by_public_key, "as its key has it"),
        ("the other key's algorithm", rsa.token("new", "shop/checkout"), "as its key has it"),
        ("no kid", curve.sign(&json!({"alg": "ES256"}), &claims("shop/checkout")), "no such key"),
        ("unknown kid", curve.token("other", "shop/checkout"), "no such key"),
        ("another key under the kid", strange.token("new", "shop/checkout"), "signature"),
        ("another account", changed_account, "signature"),
        ("no signature", unsigned(header.clone(), ""), "signature"),
        (
            "a critical extension",
            curve.sign(&json!({"alg": "ES256", "kid": "new", "crit": ["x"]}), &several),
            "no token",
        ),
        ("expired", with(|claims| claims["exp"] = json!(now() - 60)), "expired"),
        ("for ever", with(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))), "no token"),
        ("for two hours", with(|claims| claims["exp"] = json!(now() + 7_200)), "longer than 3600"),
        ("of unknown age", with(|claims| drop(claims.as_object_mut().unwrap().remove("iat"))), "no token"),
        ("from tomorrow", with(|claims| claims["nbf"] = json!(now() + 86_400)), "not valid yet"),
        (
            "made in the future",
            with(|claims| {
                claims["iat"] = json!(now() + 3_000);
                claims["exp"] = json!(now() + 6_000);
            }),
            "not valid yet",
        ),
        ("another audience", with(|claims| claims["aud"] = json!(["api"])), "audience"),
        ("no audience", with(|claims| drop(claims.as_object_mut().unwrap().remove("aud"))), "no token"),
        ("another issuer", with(|claims| claims["iss"] = json!("https://evil.example")), "issuer"),
        ("no issuer", with(|claims| drop(claims.as_object_mut().unwrap().remove("iss"))), "no token"),
        ("a node", with(|claims| claims["sub"] = json!("system:node:a")), "no service account"),
        (
            "half an account",
            with(|claims| claims["sub"] = json!("system:serviceaccount:shop")),
            "no service account",
        ),
        ("huge", huge, "longer than 8192"),
    ] {
        let answer = Client::new(port).bearing(&token).get("/v1/stores/payments").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("www-authenticate")),
            (401, Some("Bearer")),
            "{what}"
        );
        let problem = answer.problem("unauthenticated");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{what}: {detail}");
        assert!(token.len() < 20 || !answer.text().contains(&token), "{what}");
        let mut stores = Remote::new(port).stores();
        let outcome = stores.get_store(bearing(&token, v1::GetStoreRequest::default())).await;
        let detail = failed(outcome, tonic::Code::Unauthenticated, "unauthenticated");
        assert!(detail.message.contains(words), "{what}: {}", detail.message);
    }
    // not even what anybody may know, and whatever way it is asked for
    let client = Client::new(port);
    for path in ["/openapi.json", "/v1/stores", "/v1/nowhere", "/v1/subscribe"] {
        client.get(path).await.problem("unauthenticated");
    }
    let two = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    for headers in [&two[..], &[("authorization", "Basic Z2VoZWlt")], &[("authorization", "geheim")]] {
        let answer = client.send(http::Method::GET, "/v1/stores", headers, "").await;
        answer.problem("unauthenticated");
        assert!(!answer.text().contains("geheim"));
    }
    // a web page that somehow has a token is still none of our callers; any name of this pod is answered
    let known = client.bearing(&good);
    let of_page = [("origin", "https://evil.example")];
    known.send(http::Method::GET, "/v1/stores", &of_page, "").await.problem("forbidden_origin");
    known.send(http::Method::GET, "/v1/stores", &[("host", "polylog-payments.shop.svc:7300")], "").await.ok();
    let said = gateway.process.said();
    assert!(!said.contains("geheim") && !said.contains(parts[2]), "{said}");
}

#[tokio::test]
async fn keys_change_while_it_runs() {
    let (old, new) = (Key::rs256(), Key::es256());
    let mut volume = Volume::of(&manifest(), NOWHERE);
    let gateway = Serving::start("gateway", &volume).await;
    let port = gateway.pods_port.unwrap();
    let by = |key: &Key, id: &str| Client::new(port).bearing(&key.token(id, "shop/checkout"));
    let (by_old, by_new) = (by(&old, "a"), by(&new, "b"));
    let code = async |client: &Client| client.get("/v1/stores/payments").await.json()["code"].clone();
    // nothing is mounted: nobody is let in, and nobody is blamed for that
    let answer = by_old.get("/v1/stores/payments").await;
    assert_eq!(answer.status.as_u16(), 503);
    answer.problem("invalid_configuration");
    volume.set(&[("store/issuer", ISSUER), ("store/jwks.json", &published(&[("a", &old)]))]);
    until("the key is taken", || async { code(&by_old).await.is_null().then_some(()) }).await;
    assert_eq!(code(&by_new).await, "unauthenticated");
    volume.set(&[("store/jwks.json", &published(&[("a", &old), ("b", &new)]))]);
    until("the second key is taken", || async { code(&by_new).await.is_null().then_some(()) }).await;
    assert_eq!(code(&by_old).await, Value::Null);
    for (bad, words) in [("{\"keys\": [", "no JSON Web Key Set"), ("{\"keys\": []}", "no RS256 or ES256 key")]
    {
        volume.set(&[("store/jwks.json", bad)]);
        until("it is refused", || async {
            let found = gateway.configuration().await;
            found["message"].as_str().is_some_and(|message| message.contains(words)).then_some(())
        })
        .await;
        assert_eq!((code(&by_old).await, code(&by_new).await), (Value::Null, Value::Null));
    }
    // a token that was good a moment ago
    volume.set(&[("store/jwks.json", &published(&[("b", &new)]))]);
    until("the first key is gone", || async { (code(&by_old).await == "unauthenticated").then_some(()) })
        .await;
    assert_eq!(code(&by_new).await, Value::Null);
    volume.set(&[("store/issuer", "https://another.example")]);
    until("the issuer is another", || async { (code(&by_new).await == "unauthenticated").then_some(()) })
        .await;
}

/// Waits until the other side closes, and says after how long it did.
async fn closed(mut stream: TcpStream) -> Duration {
    let begin = Instant::now();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    // a reset is an end too
    let _ = read.expect("it ends");
    begin.elapsed()
}

async fn connect_from(address: &str, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

#[tokio::test]
async fn who_brings_no_token_does_not_keep_others_out() {
    let key = Key::es256();
    let gateway = Serving::start("gateway", &volume(&[("a", &key)])).await;
    let port = gateway.pods_port.unwrap();
    let known = Client::new(port).bearing(&key.token("a", "shop/checkout"));
    known.get("/v1/stores").await.ok();
    // from an address of their own: half a head, and then nothing
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = connect_from("127.0.0.3", port).await;
        // those beyond the bound may be closed already
        let _ = stream.write_all(b"GET /v1/stores HTTP/1.1\r\nHost: x\r\n").await;
        idle.push(tokio::spawn(closed(stream)));
    }
    known.get("/v1/stores").await.ok();
    // somebody new, from elsewhere
    let mut new = connect_from("127.0.0.4", port).await;
    let head = format!(
        "GET /v1/stores HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        key.token("a", "shop/checkout")
    );
    new.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    new.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut at_once = 0;
    for stream in idle {
        let after = stream.await.unwrap();
        assert!(after < Duration::from_secs(20), "{after:?}");
        at_once += usize::from(after < Duration::from_secs(5));
    }
    assert!(at_once >= 200 - 128, "{at_once}");
    known.get("/v1/stores").await.ok();

    // one connection, many bad tokens
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let bad = "GET /v1/stores HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\n\r\n";
    stream.write_all(bad.repeat(100).as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(9), stream.read_to_end(&mut answers)).await.expect("an end");
    let answers = String::from_utf8_lossy(&answers).matches("HTTP/1.1 401").count();
    assert!((16..=100).contains(&answers) && answers < 60, "{answers}");
}

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // nothing is sent: it only finds a way
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

#[tokio::test]
async fn on_one_port_only_loopback_needs_no_token() {
    let key = Key::es256();
    let volume = volume(&[("a", &key)]);
    let port = free_port().to_string();
    let arguments = ["--port", &port, "--pods-port", &port, "--health-port", "0"];
    let gateway = Process::spawn("gateway", &volume, &arguments).serving().await;
    assert_eq!(gateway.pods_port, Some(port.parse().unwrap()));
    gateway.client.get("/v1/stores").await.ok();
    let Some(address) = own_address() else {
        // then there is nobody who could come from elsewhere; the rule itself is tested beside its code
        return;
    };
    let ask = async |authorization: &str| {
        let mut stream = TcpStream::connect((address, port.parse().unwrap())).await.unwrap();
        let head = format!("GET /v1/stores HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(ask("").await.starts_with("HTTP/1.1 401"));
    let token = key.token("a", "shop/checkout");
    assert!(ask(&format!("Authorization: bearer {token}\r\n")).await.starts_with("HTTP/1.1 200"));
}
