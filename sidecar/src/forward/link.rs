use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Shared},
};
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::{InvalidTarget, Target};

/// For name, connection and handshake together.
const CONNECT: Duration = Duration::from_secs(2);
/// A gateway that is gone without a word is noticed after both of these.
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);
/// What one answer may have on its way that its reader has not taken.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same of as many answers as a gateway lets be open on one connection: readers who do not read hold up no others.
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;

pub(super) type Sender = SendRequest<Full<Bytes>>;
type Opening = Shared<BoxFuture<'static, Result<Sender, Arc<str>>>>;

/// The connection to a gateway, made when it is needed and made anew when it is gone.
pub(super) struct Link {
    host: String,
    port: u16,
    server_name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    open: Mutex<Option<Opening>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum SendError {
    /// The gateway has seen nothing of it.
    NotSent(String),
    /// It may have.
    Cut(String),
}

impl Link {
    pub(super) fn new(target: &Target) -> Result<Self, InvalidTarget> {
        Ok(Self {
            host: target.host().to_owned(),
            port: target.port(),
            server_name: target.server_name()?,
            tls: Arc::new(target.tls()?),
            open: Mutex::default(),
        })
    }

    /// Something to send by.
    ///
    /// # Errors
    /// Why there is nothing. The gateway has seen nothing.
    pub(super) async fn ready(&self) -> Result<Sender, String> {
        let mut sender = self.opening().await.map_err(|reason| reason.to_string())?;
        sender.ready().await.map_err(|error| innermost(&error))?;
        Ok(sender)
    }

    /// Sends a request; the answer's body is still to come.
    pub(super) async fn send(
        mut sender: Sender,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        sender.try_send_request(request).await.map_err(|mut failed| {
            let is_unsent = failed.take_message().is_some();
            let reason = innermost(failed.error());
            if is_unsent { SendError::NotSent(reason) } else { SendError::Cut(reason) }
        })
    }

    /// Takes another connection for what comes; what is under way goes on.
    pub(super) fn leave(&self) {
        self.open.lock().take();
    }

    /// The open connection, or the one that is being opened for whoever asks.
    fn opening(&self) -> Opening {
        let mut open = self.open.lock();
        let known = open.as_ref().filter(|opening| match opening.peek() {
            None => true,
            Some(Ok(sender)) => !sender.is_closed(),
            Some(Err(_)) => false,
        });
        if let Some(known) = known {
            return known.clone();
        }
        let address = (self.host.clone(), self.port);
        let connecting = connect(address, self.server_name.clone(), self.tls.clone());
        // in a task of its own: it goes on when the one who asked first does not wait any more
        let task = tokio::spawn(tokio::time::timeout(CONNECT, connecting));
        let opening = async move {
            match task.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(format!("no connection within {CONNECT:?}")),
                Err(error) => Err(error.to_string()),
            }
        };
        let opening = opening.map_err(Arc::from).boxed().shared();
        *open = Some(opening.clone());
        opening
    }
}

async fn connect(
    address: (String, u16),
    server_name: ServerName<'static>,
    tls: Arc<ClientConfig>,
) -> Result<Sender, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(tls).connect(server_name, stream).await;
    let stream = stream.map_err(|error| format!("TLS: {error}"))?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err("it does not speak HTTP/2".into());
    }
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| innermost(&error))?;
    // ends by itself with the last sender and the last answer
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to a gateway broke");
        }
    });
    Ok(sender)
}

/// The cause that says most: the innermost.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
