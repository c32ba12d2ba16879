//! How messages reach a collector that speaks HTTP: over one connection, which is kept. The exporter's own client would
//! bring a second TLS library.

use std::{io, sync::Arc};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// Most of an answer that is read, in bytes: it says at most which spans were not taken.
const ANSWER: usize = 64 << 10;

/// Sends messages to one collector.
#[derive(Debug)]
pub(super) struct Collector {
    tls: Arc<ClientConfig>,
    /// Between two messages.
    kept: Mutex<Option<Connection>>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// What moves its bytes.
    _task: AbortOnDropHandle<()>,
}

impl Collector {
    /// `authority` in PEM, for `https://`; without one, those that browsers trust.
    ///
    /// # Errors
    /// The authority is none.
    pub(super) fn new(authority: Option<&[u8]>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match authority {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| error.to_string())?;
                    roots.add(certificate).map_err(|error| error.to_string())?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), kept: Mutex::default() })
    }

    /// The kept connection if it still stands, else a new one.
    async fn connection(&self, uri: &http::Uri) -> Result<Connection, HttpError> {
        let kept = self.kept.lock().take();
        if let Some(mut connection) = kept
            && connection.sender.ready().await.is_ok()
        {
            return Ok(connection);
        }
        let is_tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = uri.host().ok_or_else(|| io::Error::other("the collector's address has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if !is_tls {
            return Connection::over(stream).await;
        }
        let name = ServerName::try_from(host.to_owned())?;
        Connection::over(TlsConnector::from(self.tls.clone()).connect(name, stream).await?).await
    }
}

impl Connection {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, HttpError> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // why it ends is told by the request that needed it
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, _task: AbortOnDropHandle::new(task) })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = async {
            let (mut parts, body) = request.into_parts();
            let mut connection = self.connection(&parts.uri).await?;
            if let Some(authority) = parts.uri.authority() {
                let host = authority.as_str().rsplit('@').next().unwrap_or_default().parse()?;
                parts.headers.insert(http::header::HOST, host);
            }
            let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            parts.uri = path.parse()?;
            let answer = connection.sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            *self.kept.lock() = Some(connection);
            Ok(Response::from_parts(parts, body))
        };
        sending.await.inspect_err(|error: &HttpError| {
            // the exporter says no more than that the network failed
            tracing::debug!(%error, "a message did not reach the collector");
        })
    }
}
