use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    calls::{Calls, drive},
    door::Door,
};
use crate::entrance::{Transport, Visitor};

/// A request's head must be there within this time; it also ends connections that nobody uses.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// After an error of accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A TLS handshake must be done within this time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long what is under way may go on, on a connection that is to leave.
const LEAVE: Duration = Duration::from_secs(1);
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

/// Sockets that listen on one port; with others, on two: then they have the room for connections in common.
pub struct Listeners {
    sockets: Vec<(TcpListener, Door)>,
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
                Ok(v6) => return Ok(Self::of(vec![v4, v6], chosen)),
                Err(BindError::Taken(_)) if port == 0 => {}
                Err(BindError::Taken(port)) => return Err(BindError::Taken(port)),
                Err(BindError::Refused { error, .. }) => {
                    tracing::debug!(%error, "no IPv6 loopback here: listening on 127.0.0.1 only");
                    return Ok(Self::of(vec![v4], chosen));
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
                return Ok(Self::of(vec![v4], port));
            }
            other => other?,
        };
        let port = v6.local_addr().map_or(port, |address| address.port());
        match bind(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).await {
            // one system's sockets of IPv6 keep to it, another's take IPv4 as well
            Ok(v4) => Ok(Self::of(vec![v6, v4], port)),
            Err(_) => Ok(Self::of(vec![v6], port)),
        }
    }

    fn of(sockets: Vec<TcpListener>, port: u16) -> Self {
        Self { sockets: sockets.into_iter().map(|socket| (socket, Door::Open)).collect(), port }
    }

    /// The same, for others to come in by.
    #[must_use]
    pub(crate) fn through(mut self, door: &Door) -> Self {
        for (_, open) in &mut self.sockets {
            *open = door.clone();
        }
        self
    }

    /// Together with others; the port stays this one's.
    #[must_use]
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.sockets.extend(others.sockets);
        self
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
        for (socket, door) in self.sockets {
            serving.tasks.spawn(accept(socket, door, service.clone(), places.clone(), serving.clone()));
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

async fn accept(
    socket: TcpListener,
    door: Door,
    service: impl Answers,
    places: Arc<Semaphore>,
    serving: Serving,
) {
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
            Ok((stream, from)) => {
                let visitor = match door.entrance(from, stream.local_addr()) {
                    None => None,
                    // too many who bring nothing: it is closed at once
                    Some(entrance) => match Visitor::new(entrance, from) {
                        Some(visitor) => Some(Arc::new(visitor)),
                        None => continue,
                    },
                };
                serving.tasks.spawn(connection(stream, visitor, service.clone(), serving.clone(), place));
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
    visitor: Option<Arc<Visitor>>,
    service: impl Answers,
    serving: Serving,
    _place: OwnedSemaphorePermit,
) {
    // answers are written at once and whole: waiting for more only adds delay
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let Some(visitor) = visitor else {
        return serve(stream, service, serving, std::future::pending()).await;
    };
    let Some(transport) = visitor.transport() else { return };
    let of_visitor = visitor.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(of_visitor.clone());
        service.call(request)
    });
    let leaving = async move { visitor.to_leave().await };
    match &*transport {
        Transport::Plain => serve(stream, service, serving, leaving).await,
        Transport::Tls { acceptor, .. } => {
            let handshake = tokio::select! {
                ended = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => ended,
                () = serving.closing.cancelled() => return,
            };
            match handshake {
                Ok(Ok(stream)) => serve(stream, service, serving, leaving).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS handshake"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }
}

/// Serves one connection until its end, or until it is to leave.
async fn serve<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: S,
    serving: Serving,
    leaving: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
        + 'static,
{
    let calls = Calls::default();
    let builder = builder(calls.clone());
    let served = async move {
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let last = tokio::select! {
            ended = connection.as_mut() => return ended,
            () = serving.closing.cancelled() => None,
            () = leaving => Some(LEAVE),
        };
        connection.as_mut().graceful_shutdown();
        let patience = async {
            match last {
                Some(last) => tokio::time::sleep(last).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = connection => ended,
            () = serving.aborting.cancelled() => Ok(()),
            () = patience => Ok(()),
        }
    };
    if let Err(error) = drive(served, calls).await {
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
