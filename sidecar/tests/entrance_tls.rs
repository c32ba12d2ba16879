//! Other pods come in to a gateway over TLS, with a certificate that changes while it runs.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{sync::Arc, time::Duration};

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use support::{
    mounted::{Process, STORE, Volume, until},
    tokens::{ISSUER, Key, published},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

const NOWHERE: &str = "postgres://worker:geheim@127.0.0.1:1/shop";

/// The gateway's name in its namespace.
const NAME: &str = "polylog-payments.shop.svc";

struct Certificate {
    pem: String,
    key: String,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    Certificate { pem: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

/// Asks over a connection of its own that trusts this certificate alone; the status.
async fn ask(port: u16, trusted: &Certificate, protocol: &[u8], token: &str) -> Result<u16, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(NAME.try_into().unwrap(), stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    let request = Request::builder()
        .uri(format!("https://{NAME}:7300/v1/stores"))
        .header("host", NAME)
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let io = TokioIo::new(stream);
    let answer = if protocol == b"h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    Ok(status)
}

#[tokio::test]
async fn the_certificate_is_asked_for_and_changes_while_it_runs() {
    let key = Key::es256();
    let (first, second) = (certificate(), certificate());
    let manifest = STORE.replace("spec:", "spec:\n  gateway: {tlsSecretRef: {name: gw-tls}}");
    let mut volume = Volume::of(&manifest, NOWHERE);
    volume.set(&[("store/issuer", ISSUER), ("store/jwks.json", &published(&[("a", &key)]))]);
    // without its certificate it never serves in the clear instead
    let process = Process::spawn("gateway", &volume, &["--port", "0", "--health-port", "0"]);
    let line = until("it waits", || async { process.line("waiting for a configuration") }).await;
    assert!(line["reason"].as_str().unwrap().contains("store/tls.crt is not mounted"), "{line}");
    volume.set(&[("store/tls.crt", &first.pem), ("store/tls.key", &first.key)]);
    let gateway = process.serving().await;
    let port = gateway.pods_port.unwrap();
    let token = key.token("a", "shop/checkout");
    for protocol in [&b"h2"[..], b"http/1.1"] {
        assert_eq!(ask(port, &first, protocol, &token).await.unwrap(), 200);
        assert_eq!(ask(port, &first, protocol, "a.b.c").await.unwrap(), 401);
    }
    assert!(ask(port, &second, b"h2", &token).await.is_err(), "another certificate is not trusted");
    // in the clear nothing is answered
    let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("GET /v1/stores HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    plain.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/"), "{answer:?}");
    // on loopback the API is what it was
    gateway.client.get("/v1/stores").await.ok();

    // one who begins a handshake and goes no further keeps nobody out, and is closed
    let mut stalled = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stalled.write_all(&[0x16, 3, 1]).await.unwrap();
    assert_eq!(ask(port, &first, b"h2", &token).await.unwrap(), 200);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(15), stalled.read_to_end(&mut rest)).await;
    let _ = ended.expect("it is closed");

    // a bad pair, a half of one, and none: the old one stays
    for (bad, words) in [
        (("geheim", first.key.as_str()), "tls.crt"),
        ((&second.pem, &first.key), "cannot be used"),
        (("", ""), "tls.crt holds no certificate"),
    ] {
        volume.set(&[("store/tls.crt", bad.0), ("store/tls.key", bad.1)]);
        until("it is refused", || async {
            let found = gateway.configuration().await;
            found["message"].as_str().is_some_and(|message| message.contains(words)).then_some(())
        })
        .await;
        assert_eq!(ask(port, &first, b"h2", &token).await.unwrap(), 200);
    }
    volume.set(&[("store/tls.crt", &second.pem), ("store/tls.key", &second.key)]);
    until("the new one is used", || async { ask(port, &second, b"h2", &token).await.ok() }).await;
    assert!(ask(port, &first, b"h2", &token).await.is_err(), "the old one is gone");
    let said = gateway.process.said();
    assert!(!said.contains("geheim") && !said.contains("PRIVATE"), "{said}");
}
