use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::certificates::Serving;

/// API servers keep a few connections each.
const MOST_CONNECTIONS: usize = 512;
/// How long a client may take to say hello.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long what was taken may go on once the process stops. The API server gives up after 5 s.
const DRAIN: Duration = Duration::from_secs(5);
/// When the system gives no connection, it is not asked again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The TLS port, open.
#[derive(Debug)]
pub(super) struct Server {
    listener: TcpListener,
    /// Where it is.
    pub(super) address: SocketAddr,
    acceptor: Arc<ServerConfig>,
}

impl Server {
    /// Opens the port on every address. Handshakes fail as long as there is no certificate.
    pub(super) async fn open(port: u16, serving: Serving) -> io::Result<Self> {
        let listener = match TcpListener::bind(("::", port)).await {
            Ok(listener) => listener,
            // a node without IPv6
            Err(_) => TcpListener::bind(("0.0.0.0", port)).await?,
        };
        let address = listener.local_addr()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(serving));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { listener, address, acceptor: Arc::new(config) })
    }

    /// Answers until `stop`, and then what was taken.
    pub(super) async fn serve(self, router: Router, stop: CancellationToken) {
        let acceptor = TlsAcceptor::from(self.acceptor);
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let connections = TaskTracker::new();
        loop {
            let permit = tokio::select! {
                permit = permits.clone().acquire_owned() => permit.expect("it is never closed"),
                () = stop.cancelled() => break,
            };
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::debug!(%error, "no connection");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
                () = stop.cancelled() => break,
            };
            let connection = connection(acceptor.clone(), stream, router.clone(), stop.clone());
            connections.spawn(async move {
                connection.await;
                drop(permit);
            });
        }
        drop(self.listener);
        connections.close();
        // what takes longer is cut off: nobody waits for it any more
        let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
    }
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, router: Router, stop: CancellationToken) {
    // an answer goes out in several pieces, of which none is to wait 40 ms for the acknowledgement of the one before
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%error, "a connection that has ended");
    }
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "no TLS"),
        Err(_) => return,
    };
    let service = TowerToHyperService::new(router);
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
