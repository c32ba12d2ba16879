//! A cluster that is reached over TLS and asks who comes. The servers of these tests do neither by themselves: a proxy in
//! front of one does.

use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_STANDARD};
use polylog_test_bed::Product;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::{
    server,
    support::process::{Dev, folder, refused},
    voter,
};

/// A proxy that lets in who shows what it asks for.
struct Guard {
    port: u16,
    /// The certificate of its name, in PEM.
    certificate: String,
    asks_for: Arc<Mutex<String>>,
}

impl Guard {
    async fn of(upstream: u16, asks_for: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asks_for = Arc::new(Mutex::new(asks_for.to_owned()));
        let asked = asks_for.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, asked) = (acceptor.clone(), asked.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = pass(stream, upstream, &asked).await;
                    }
                });
            }
        });
        Self { port, certificate, asks_for }
    }

    fn asks_for(&self, credentials: &str) {
        *self.asks_for.lock().unwrap() = credentials.to_owned();
    }
}

/// One request of a connection, which ends with it.
async fn pass(
    mut stream: tokio_rustls::server::TlsStream<TcpStream>,
    upstream: u16,
    asked: &Mutex<String>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let end = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let lower = head.to_ascii_lowercase();
    let length = lower
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
    while request.len() < end + length {
        stream.read_buf(&mut request).await?;
    }
    let shown = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
    });
    if shown.as_deref() != Some(asked.lock().unwrap().as_str()) {
        let body =
            r#"{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}"#;
        let answer = format!(
            "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n\
             {body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        return stream.shutdown().await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    let once = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(once.as_bytes()).await?;
    server.write_all(&request[end..]).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    let status = answer.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    stream.write_all(&answer[..status]).await?;
    stream.write_all(b"connection: close\r\n").await?;
    stream.write_all(&answer[status..]).await?;
    stream.shutdown().await
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

/// The store's own connection, with a Secret of these keys.
fn declared(name: &str, guard: &Guard, auth: &str, secret: &str) -> String {
    let Guard { port, certificate, .. } = guard;
    let connection = format!(
        "connection: {{url: 'https://127.0.0.1:{port}', auth: {{secretRef: {{name: ledger-db}}{auth}}}, \
         tls: {{caRef: {{name: db-ca}}}}}}"
    );
    let certificate = certificate.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "{}---
apiVersion: v1
kind: Secret
metadata: {{name: ledger-db, namespace: shop}}
stringData: {{{secret}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: db-ca, namespace: shop}}
data:
  ca.crt: |
{certificate}",
        voter(Product::Elasticsearch, name)
            .replace("connection: {secretRef: {name: ledger-db}}", &connection)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_and_certificates_are_shown_and_checked() {
    let server = server(Product::Elasticsearch);
    let name = server.new_name();
    let guard = Guard::of(server.port(), &basic("app:geheim")).await;
    let right = declared(&name, &guard, "", "username: app, password: geheim");
    let wrong = declared(&name, &guard, "", "username: app, password: geheimer");
    let words = ["source_refused", "unable to authenticate", "next: correct the user or the password"];
    refused(folder(&wrong).path(), "ledger=declared", 1, &words);
    let plain = right.replace("https://", "http://");
    refused(folder(&plain).path(), "ledger=declared", 2, &["https://", "tls.mode"]);
    let named = right.replace("tls: {", "tls: {serverName: ledger.example, ");
    refused(folder(&named).path(), "ledger=declared", 2, &["tls.serverName", "for the host of the address"]);
    let stranger = Guard::of(server.port(), "").await;
    let untrusted =
        right.replace(&format!("127.0.0.1:{}", guard.port), &format!("127.0.0.1:{}", stranger.port));
    refused(folder(&untrusted).path(), "ledger=declared", 1, &["source_refused", "certificate"]);

    let store = folder(&right);
    let running = Dev::start(store.path(), "ledger=declared");
    running.client.append("Payment-1", "Paid", "1").await;
    // the password changes, and comes back
    guard.asks_for(&basic("app:other"));
    let body = r#"{"expectedVersion":"any","events":[{"type":"Refused"}]}"#;
    let problem = running.client.post("/v1/streams/Payment-1", body).await.problem("source_refused");
    assert_eq!((&problem["facts"]["reason"], &problem["written"]), (&"auth".into(), &"nothing".into()));
    guard.asks_for(&basic("app:geheim"));
    running.client.append("Payment-1", "Paid", "2").await;
    assert_eq!(running.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 2);
    running.stop();

    guard.asks_for("ApiKey Z2VoZWlt");
    std::fs::write(
        store.path().join("store.yaml"),
        declared(&name, &guard, ", apiKeyKey: key", "key: Z2VoZWlt"),
    )
    .unwrap();
    let running = Dev::start(store.path(), "ledger=declared");
    assert_eq!(running.client.get("/v1/streams/Payment-1/head").await.ok().json()["version"], 2);
}
