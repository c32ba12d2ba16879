//! A server that answers as a test tells it, one reply per request.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use polylog_api::{Code, Problem};
use polylog_client::{Address, Client, Credentials, Timing};
use tokio::{net::TcpListener, task::JoinSet};

/// What becomes of one request.
pub(crate) enum Reply {
    /// An answer.
    Json(u16, String),
    /// A problem, with a `Retry-After` in seconds.
    Problem(Problem, Option<u64>),
    /// The request is taken and the connection closed: the answer is lost.
    Lost,
    /// The request is taken and nothing more is heard.
    Silence,
    /// Pieces of a body, and then its proper end, or a cut in its midst.
    Pieces(&'static str, Vec<String>, Ending),
}

/// How a body ends.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    Proper,
    Cut,
    /// Never: nothing more comes, not even a heartbeat.
    Open,
}

/// A request as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

pub(crate) struct Server {
    pub(crate) client: Client,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

/// Times short enough for tests.
fn timing() -> Timing {
    Timing {
        deadline: Duration::from_secs(5),
        attempt: Duration::from_millis(300),
        connect: Duration::from_secs(1),
        silence: Duration::from_millis(500),
    }
}

impl Server {
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, replies, seen.clone()));
        let client = Client::new(
            Address::parse(&url, None).expect("a good address"),
            timing(),
            Credentials::default(),
        )
        .expect("no credentials");
        Self { client, seen, _tasks: tasks }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while it holds the lock").clone()
    }
}

async fn accept(listener: TcpListener, replies: Arc<Mutex<VecDeque<Reply>>>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the listener lives");
        let (replies, seen) = (replies.clone(), seen.clone());
        let service = service_fn(move |request| answer(request, replies.clone(), seen.clone()));
        connections.spawn(async move {
            // a reply that cuts the connection ends this with an error, as it is meant to
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn answer(
    request: Request<Incoming>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Body>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or(String::new(), ToString::to_string);
    let body = String::from_utf8_lossy(&body).into_owned();
    seen.lock().expect("no test panics while it holds the lock").push(Seen {
        path,
        headers: head.headers,
        body,
    });
    let reply = replies.lock().expect("no test panics while it holds the lock").pop_front();
    match reply.unwrap_or_else(|| Reply::Problem(Problem::new(Code::NotFound, "no reply is left"), None)) {
        Reply::Json(status, body) => Ok(whole(status, "application/json", body, None)),
        Reply::Problem(problem, retry_after) => {
            let body = serde_json::to_string(&problem).expect("serialises");
            Ok(whole(problem.status, "application/problem+json", body, retry_after))
        }
        Reply::Lost => Err(std::io::Error::other("the connection is cut")),
        Reply::Silence => std::future::pending().await,
        Reply::Pieces(media_type, pieces, ending) => {
            let pieces = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece))));
            let cut = match ending {
                Ending::Proper | Ending::Open => None,
                Ending::Cut => Some(Err(std::io::Error::other("the connection is cut"))),
            };
            // each piece travels before the next, and before a cut
            let pieces = stream::iter(pieces.chain(cut)).then(|piece| async {
                tokio::task::yield_now().await;
                piece
            });
            let body = match ending {
                Ending::Open => pieces.chain(stream::pending()).boxed(),
                _ => pieces.boxed(),
            };
            let body = BodyExt::boxed_unsync(StreamBody::new(body));
            let answer = Response::builder().header("content-type", media_type).body(body);
            Ok(answer.expect("a good answer"))
        }
    }
}

fn whole(status: u16, media_type: &str, body: String, retry_after: Option<u64>) -> Response<Body> {
    let body = Full::from(body).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut answer = Response::builder().status(status).header("content-type", media_type);
    if let Some(seconds) = retry_after {
        answer = answer.header("retry-after", seconds);
    }
    answer.body(body).expect("a good answer")
}
