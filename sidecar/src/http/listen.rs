use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::calls::{Calls, drive};

/// A request's head must be there within this time; it also ends connections that nobody uses.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// After an error of accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Tries to find a port that is free on both addresses.
const PORT_TRIES: usize = 32;

/// What answers requests. No router stands before it: it would have nothing to decide, and boxes each request.
pub trait Answers:
    Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Sockets that listen on one port.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
    port: u16,
}

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already. Choose another port, or stop the other process.
    #[error(
        "port {0} is taken: stop whoever listens there, or choose another port (--port 0 finds a free one)"
    )]
    Taken(u16),
    /// The system refuses.
    #[error("cannot listen on {address}: {error}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
}

impl Listeners {
    /// Listens on 127.0.0.1 and, where the system has it, on ::1. Port 0 = one that is free on both.
    pub async fn loopback(port: u16) -> Result<Self, BindError> {
        for _ in 0..PORT_TRIES {
            let v4 = bind(IpAddr::V4(Ipv4Addr::LOCALHOST), port).await?;
            let chosen = v4.local_addr().map_or(port, |address| address.port());
            match bind(IpAddr::V6(Ipv6Addr::LOCALHOST), chosen).await {
                Ok(v6) => return Ok(Self { sockets: vec![v4, v6], port: chosen }),
                Err(BindError::Taken(_)) if port == 0 => {}
                Err(BindError::Taken(port)) => return Err(BindError::Taken(port)),
                Err(BindError::Refused { error, .. }) => {
                    tracing::debug!(%error, "no IPv6 loopback here: listening on 127.0.0.1 only");
                    return Ok(Self { sockets: vec![v4], port: chosen });
                }
            }
        }
        Err(BindError::Taken(port))
    }

    /// Listens on every address of both families that the system has. Port 0 = a free one.
    pub async fn everywhere(port: u16) -> Result<Self, BindError> {
        let v6 = match bind(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).await {
            Err(BindError::Refused { error, .. }) => {
                tracing::debug!(%error, "no IPv6 here: listening on IPv4 only");
                let v4 = bind(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).await?;
                let port = v4.local_addr().map_or(port, |address| address.port());
                return Ok(Self { sockets: vec![v4], port });
            }
            other => other?,
        };
        let port = v6.local_addr().map_or(port, |address| address.port());
        match bind(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).await {
            // one system's sockets of IPv6 keep to it, another's take IPv4 as well
            Ok(v4) => Ok(Self { sockets: vec![v6, v4], port }),
            Err(_) => Ok(Self { sockets: vec![v6], port }),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves until told to stop; at most `connections` at once, further ones wait to be accepted.
    pub fn serve(self, service: impl Answers, connections: usize) -> Serving {
        let serving = Serving {
            accepting: CancellationToken::new(),
            closing: CancellationToken::new(),
            aborting: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let places = Arc::new(Semaphore::new(connections));
        for socket in self.sockets {
            serving.tasks.spawn(accept(socket, service.clone(), places.clone(), serving.clone()));
        }
        serving
    }
}

async fn bind(ip: IpAddr, port: u16) -> Result<TcpListener, BindError> {
    let address = SocketAddr::new(ip, port);
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(port),
        _ => BindError::Refused { address, error },
    })
}

/// A server at work. Clones share it.
#[derive(Debug, Clone)]
pub struct Serving {
    accepting: CancellationToken,
    closing: CancellationToken,
    aborting: CancellationToken,
    tasks: TaskTracker,
}

impl Serving {
    /// Accepts nothing more, lets every connection finish the request that it is at, and cuts off those that are not
    /// done after `patience`. Returns once no connection is left.
    pub async fn stop(&self, patience: Duration) {
        self.accepting.cancel();
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            self.aborting.cancel();
            self.tasks.wait().await;
        }
    }
}

async fn accept(socket: TcpListener, service: impl Answers, places: Arc<Semaphore>, serving: Serving) {
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (socket.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = next => accepted,
            () = serving.accepting.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                serving.tasks.spawn(connection(stream, service.clone(), serving.clone(), place));
            }
            Err(error) => {
                tracing::warn!(event = "accept_failed", %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    service: impl Answers,
    serving: Serving,
    _place: OwnedSemaphorePermit,
) {
    // answers are written at once and whole: waiting for more only adds delay
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let calls = Calls::default();
    let builder = builder(calls.clone());
    let served = async move {
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = serving.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = serving.aborting.cancelled() => Ok(()),
                }
            }
        }
    };
    let ended = drive(served, calls).await;
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}

fn builder(calls: Calls) -> Builder<Calls> {
    let mut builder = Builder::new(calls);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(256 << 10)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
