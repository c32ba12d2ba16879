//! The port with its certificates, as the API server calls it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing::post};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::{SignedDuration, Timestamp};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::server::Server;
use crate::certificates::{Lifetimes, Serving, testing::Steps};

const HOST: &str = "polylog-webhook.ops.svc";

fn connector(trusted: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
        roots.add(authority.expect("PEM")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// One call over a connection of its own.
async fn call(address: SocketAddr, trusted: &str) -> Result<u16, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(HOST).expect("a name");
    let stream = connector(trusted).connect(name, stream).await.map_err(|error| error.to_string())?;
    let client = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = client.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = http::Request::post(format!("https://{HOST}/inject")).body(Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(request.expect("a request")).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok(status)
}

/// A new authority in all its steps, while calls come all the time from one who learns whom to trust a little later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_load_without_a_lost_call() {
    let lifetimes = Lifetimes {
        authority: SignedDuration::from_secs(15),
        serving: SignedDuration::from_secs(12),
        overlap: SignedDuration::from_millis(500),
    };
    let serving = Serving::default();
    let server = Server::open(0, serving.clone()).await.expect("a port");
    let address = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    let mut steps = Steps::first(HOST, Timestamp::now(), lifetimes);
    let trusted = Arc::new(parking_lot::RwLock::new(steps.trusted()));
    let told = || trusted.read().clone();
    let stop = CancellationToken::new();
    let serve = tokio::spawn(server.serve(Router::new().route("/inject", post(async || "ok")), stop.clone()));
    assert!(call(address, &told()).await.is_err() && !serving.is_there(), "there is no certificate yet");
    steps.show(&serving);
    assert_eq!(call(address, &told()).await, Ok(200));

    let (done, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let (done, calls, trusted) = (done.clone(), calls.clone(), trusted.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let told = trusted.read().clone();
                    assert_eq!(call(address, &told).await, Ok(200));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (first, deadline) = (steps.trusted(), Instant::now() + Duration::from_secs(60));
    // both, then the new one alone
    let mut lists = vec![first.clone()];
    while lists.len() < 3 && Instant::now() < deadline && !callers.iter().any(JoinHandle::is_finished) {
        let before = calls.load(Ordering::Relaxed);
        while calls.load(Ordering::Relaxed) < before + 4 && !callers.iter().any(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        if steps.next(&told(), Timestamp::now()) {
            // what is shown changes first, and what is trusted a few calls later, as at an API server
            steps.show(&serving);
            continue;
        }
        if told() != steps.trusted() {
            *trusted.write() = steps.trusted();
            lists.push(steps.trusted());
        }
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call is lost");
    }
    assert_eq!(lists.len(), 3, "both authorities, then the new one");
    assert!(lists[1].contains(&first) && !lists[2].contains(&first));
    assert!(call(address, &first).await.is_err(), "who trusts only the old one is not answered");
    stop.cancel();
    serve.await.expect("it ends");
    assert!(call(address, &steps.trusted()).await.is_err(), "the port is closed");
}
