use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use elasticsearch::{
    auth::{ClientCertificate, Credentials as Known},
    cert::{Certificate, CertificateValidation},
    http::{
        Method,
        headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue},
        transport::{MultiNodeConnectionPool, Transport, TransportBuilder},
    },
};
use polylog_log::{Failure, Position, RefusedReason, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    Address, ElasticsearchConfig,
    config::Credentials,
    document::HeadDocument,
    error::{EngineError, ServerError},
    history::History,
    refresh::Knowledge,
    requests::Token,
};

/// A client of one cluster, and what this process knows of its log.
pub(crate) struct Handle {
    pub(crate) config: ElasticsearchConfig,
    pub(crate) history: History,
    /// After how many truncations, and up to which position, events were made searchable by this process.
    pub(crate) searchable: Mutex<(u64, Position)>,
    /// What searches know of the index; held while one looks, so that many of them look once.
    pub(crate) knowledge: tokio::sync::Mutex<Knowledge>,
    /// The head that an acknowledged write showed to be the log's, by its revision and operation.
    confirmed: Mutex<Option<(u64, Uuid)>>,
    /// This process's last writes of the head.
    own: Mutex<VecDeque<Token>>,
    /// How many bytes one request may have.
    room: AtomicUsize,
    transport: OnceCell<Transport>,
    crashed: AtomicBool,
}

/// How many bytes a server takes in one request where it does not say.
const USUAL_ROOM: usize = 100 << 20;

/// Writes of the head that are remembered as this process's own: more than its readers make while one swap ends.
const MOST_OWN: usize = 64;

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The answer of a request that went well.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| EngineError::Transport(format!("an answer that cannot be read: {error}")))
    }

    /// The answer, or the error that the server told.
    pub(crate) fn ok(self) -> Result<Self, EngineError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(EngineError::Server(ServerError::of(self.status, &self.body)))
    }
}

/// What a request carries.
pub(crate) enum Body {
    Nothing,
    Json(Vec<u8>),
    /// A JSON document per line.
    Lines(Vec<u8>),
}

impl Body {
    pub(crate) fn json(value: &impl serde::Serialize) -> Self {
        Body::Json(serde_json::to_vec(value).expect("plain structs with string keys serialise"))
    }
}

impl Handle {
    pub(crate) fn new(config: ElasticsearchConfig) -> Self {
        Self {
            config,
            history: History::default(),
            searchable: Mutex::default(),
            knowledge: tokio::sync::Mutex::default(),
            confirmed: Mutex::default(),
            own: Mutex::default(),
            room: AtomicUsize::new(USUAL_ROOM),
            transport: OnceCell::new(),
            crashed: AtomicBool::new(false),
        }
    }

    /// Sends a request and waits for its whole answer, as long as a request may take.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Body) -> Result<Reply, EngineError> {
        let transport = self
            .transport
            .get_or_try_init(async || connect(&self.config.address, self.config.request_timeout))
            .await?;
        exchange(transport, self.config.request_timeout, method, path, body).await
    }

    /// The clock of the server that answers, to the millisecond.
    pub(crate) async fn clock(&self) -> Result<Timestamp, EngineError> {
        #[derive(Deserialize)]
        struct Answer {
            nodes: std::collections::HashMap<String, Node>,
        }
        #[derive(Deserialize)]
        struct Node {
            timestamp: i64,
        }
        let path = "/_nodes/_local/stats/http?filter_path=nodes.*.timestamp";
        let answer: Answer = self.send(Method::Get, path, Body::Nothing).await?.ok()?.parse()?;
        let node = answer.nodes.into_values().next();
        let node = node.ok_or_else(|| EngineError::damaged("the server does not tell its time"))?;
        Ok(Timestamp::from_micros(node.timestamp * 1_000))
    }

    /// Asks the server how large a request may be. Services that keep their nodes to themselves do not tell.
    pub(crate) async fn measure_room(&self) -> Result<(), EngineError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            nodes: std::collections::HashMap<String, Node>,
        }
        #[derive(Deserialize)]
        struct Node {
            http: Http,
        }
        #[derive(Deserialize)]
        struct Http {
            max_content_length_in_bytes: usize,
        }
        let path = "/_nodes/http?filter_path=nodes.*.http.max_content_length_in_bytes";
        let reply = self.send(Method::Get, path, Body::Nothing).await?;
        let told = reply.parse::<Answer>().map(|answer| answer.nodes).unwrap_or_default();
        let least = told.into_values().map(|node| node.http.max_content_length_in_bytes).min();
        self.room.store(least.unwrap_or(USUAL_ROOM), Ordering::Release);
        Ok(())
    }

    /// Bytes of events that one request may carry: their documents hold them in base 64, and as what queries see.
    pub(crate) fn room(&self) -> usize {
        self.room.load(Ordering::Acquire) / 3
    }

    /// The handle answers nothing any more.
    pub(crate) fn crash(&self) {
        self.crashed.store(true, Ordering::Release);
    }

    pub(crate) fn is_crashed(&self) -> bool {
        self.crashed.load(Ordering::Acquire)
    }

    /// An acknowledged write had this head.
    pub(crate) fn confirm(&self, token: Token, document: &HeadDocument) {
        *self.confirmed() = Some((document.head.revision, document.operation));
        let mut own = self.own();
        own.truncate(MOST_OWN - 1);
        own.push_front(token);
    }

    /// Whether a write of the head was this process's: one of its last ones, whose answer has come.
    pub(crate) fn is_own(&self, token: Token) -> bool {
        self.own().contains(&token)
    }

    fn own(&self) -> MutexGuard<'_, VecDeque<Token>> {
        // it is changed without a panic
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an acknowledged write of this process had this head.
    pub(crate) fn is_confirmed(&self, document: &HeadDocument) -> bool {
        *self.confirmed() == Some((document.head.revision, document.operation))
    }

    fn confirmed(&self) -> MutexGuard<'_, Option<(u64, Uuid)>> {
        // it is set at once
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to `base`, after so many truncations, can be searched.
    pub(crate) fn now_searchable(&self, cuts: u64, base: Position) {
        self.searchable(|known| {
            let is_newer = known.0 < cuts || known.0 == cuts && known.1 < base;
            if is_newer {
                *known = (cuts, base);
            }
        });
    }

    /// Takes or sets up to where events can be searched.
    pub(crate) fn searchable<T>(&self, change: impl FnOnce(&mut (u64, Position)) -> T) -> T {
        // no code under the lock panics in the middle of a change
        change(&mut self.searchable.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends a request and waits for its whole answer, as long as a request may take.
pub(crate) async fn exchange(
    transport: &Transport,
    patience: Duration,
    method: Method,
    path: &str,
    body: Body,
) -> Result<Reply, EngineError> {
    let mut headers = HeaderMap::new();
    let bytes = match body {
        Body::Nothing => None,
        Body::Json(bytes) => Some(bytes),
        Body::Lines(bytes) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
            Some(bytes)
        }
    };
    let exchange = async {
        let answer = transport.send(method, path, headers, None::<&()>, bytes, None).await.map_err(lost)?;
        let status = answer.status_code().as_u16();
        Ok(Reply { status, body: answer.bytes().await.map_err(lost)? })
    };
    match tokio::time::timeout(patience, exchange).await {
        Ok(reply) => reply,
        Err(_) => Err(Failure::Timeout(patience).into()),
    }
}

fn lost(error: elasticsearch::Error) -> EngineError {
    // the words of the library name only the address; what went wrong stands in its sources
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = error.source();
    }
    if words.contains("certificate") {
        return Failure::Refused { reason: RefusedReason::Tls, message: words }.into();
    }
    EngineError::Transport(words)
}

pub(crate) fn connect(address: &Address, patience: Duration) -> Result<Transport, EngineError> {
    let unsuitable = |message: String| Failure::Refused { reason: RefusedReason::Tls, message };
    let mut builder = TransportBuilder::new(MultiNodeConnectionPool::round_robin(address.urls.clone(), None))
        .disable_proxy()
        .enable_meta_header(false)
        // mostly a network that is faster than the packing
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .timeout(patience + Duration::from_secs(1));
    let known = address.credentials.as_ref().map(|credentials| match credentials {
        Credentials::Basic { username, password } => {
            Known::Basic(username.clone(), password.reveal().to_owned())
        }
        Credentials::ApiKey(key) => Known::EncodedApiKey(key.reveal().to_owned()),
    });
    if let Some(ca) = &address.ca {
        let ca = Certificate::from_pem(ca)
            .map_err(|error| unsuitable(format!("tls.caRef holds no certificates: {error}")))?;
        builder = builder.cert_validation(CertificateValidation::Full(ca));
    }
    if let Some((certificate, key)) = &address.client_certificate {
        let pem = [certificate, &b"\n"[..], key.reveal().as_bytes()].concat();
        builder = builder.auth(Known::Certificate(ClientCertificate::Pem(pem)));
    }
    if let Some(known) = known {
        builder = builder.auth(known);
    }
    builder.build().map_err(|error| unsuitable(error.to_string()).into())
}
