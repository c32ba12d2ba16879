//! A collector that speaks HTTP.

use std::{
    convert::Infallible,
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use prost::Message;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Collector;

/// What came, beside the spans.
#[derive(Clone, Default)]
pub struct Receiver {
    pub collector: Collector,
    pub connections: Arc<AtomicUsize>,
    pub paths: Arc<Mutex<Vec<String>>>,
    pub headers: Arc<Mutex<HeaderMap>>,
    /// Whether each connection is closed after one answer.
    closes: bool,
}

impl Receiver {
    /// A receiver and its port.
    pub async fn start() -> (Self, u16) {
        let receiver = Self::default();
        let port = receiver.listen(None).await;
        (receiver, port)
    }

    /// The same over TLS, with a certificate of its own; it closes each connection after one message.
    pub async fn start_with_tls() -> (Self, u16, String) {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let receiver = Self { closes: true, ..Self::default() };
        let port = receiver.listen(Some(TlsAcceptor::from(Arc::new(config)))).await;
        (receiver, port, certified.cert.pem())
    }

    async fn listen(&self, tls: Option<TlsAcceptor>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (receiver, tls) = (receiver.clone(), tls.clone());
                tokio::spawn(async move {
                    receiver.connections.fetch_add(1, Ordering::Relaxed);
                    let service = service_fn(|request| receiver.take(request));
                    let mut server = http1::Builder::new();
                    server.keep_alive(!receiver.closes);
                    // who ends a connection needs no other sign
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        port
    }

    async fn take(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let mut content = body.collect().await.unwrap().to_bytes().to_vec();
        if parts.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&content[..]).read_to_end(&mut plain).unwrap();
            content = plain;
        }
        self.paths.lock().push(parts.uri.to_string());
        *self.headers.lock() = parts.headers;
        self.collector.keep(ExportTraceServiceRequest::decode(&content[..]).unwrap());
        Ok(Response::new(Full::default()))
    }
}
