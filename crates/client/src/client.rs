use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use polylog_api::{Problem, format_duration, headers};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::{Address, ClientError, Credentials, CredentialsError, attempts::Attempts, error::Failure};

/// Largest answer that is read at once; pages end at 1 MiB, but for one event that may be larger.
const LARGEST_ANSWER: usize = 64 << 20;

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a call with all its tries, unless the call says otherwise.
    pub deadline: Duration,
    /// For one try.
    pub attempt: Duration,
    /// For a connection.
    pub connect: Duration,
    /// A subscription that hears nothing, not even a heartbeat, for this long is connected again.
    pub silence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            attempt: Duration::from_secs(6),
            connect: Duration::from_secs(2),
            silence: Duration::from_secs(45),
        }
    }
}

/// A client of one store. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) address: Address,
    pub(crate) timing: Timing,
    credentials: Credentials,
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A request that can be sent several times.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether it can change the log.
    pub(crate) writes: bool,
}

impl Call {
    pub(crate) fn get(url: String, accept: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Self { method: Method::GET, url, headers, body: Bytes::new(), writes: false }
    }

    pub(crate) fn post(url: String, json: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(JSON));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        Self { method: Method::POST, url, headers, body: json.into(), writes: true }
    }
}

/// Media type of most requests and answers.
pub(crate) const JSON: &str = "application/json";

impl Client {
    /// A client of the store at this address; connects when first used.
    ///
    /// # Errors
    /// The credentials cannot be used.
    pub fn new(address: Address, timing: Timing, credentials: Credentials) -> Result<Self, CredentialsError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timing.connect));
        connector.set_nodelay(true);
        let connector = credentials.connector(connector)?;
        let http = HyperClient::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { address, timing, credentials, http })
    }

    /// Where it connects to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Calls until there is an answer, a refusal that stands, or no time.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        call: &Call,
        deadline: Duration,
    ) -> Result<T, ClientError> {
        let mut attempts = self.attempts(call, deadline);
        loop {
            let limit = attempts.left(Instant::now()).min(self.timing.attempt);
            let failure = match timeout(limit, self.try_whole(call, limit)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::TimedOut,
            };
            sleep(attempts.after(failure, Instant::now(), rand::random())?).await;
        }
    }

    /// Calls until an answer begins, a refusal stands, or there is no time; the answer's body is read by the caller.
    pub(crate) async fn open(
        &self,
        call: &Call,
        deadline: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut attempts = self.attempts(call, deadline);
        loop {
            let limit = attempts.left(Instant::now()).min(self.timing.attempt);
            let failure = match timeout(limit, self.try_once(call, None)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::TimedOut,
            };
            sleep(attempts.after(failure, Instant::now(), rand::random())?).await;
        }
    }

    fn attempts(&self, call: &Call, deadline: Duration) -> Attempts {
        let now = Instant::now();
        Attempts::new(self.address.to_string(), call.writes, now, now + deadline)
    }

    async fn try_whole<T: DeserializeOwned>(&self, call: &Call, limit: Duration) -> Result<T, Failure> {
        let answer = self.try_once(call, Some(limit)).await?;
        let status = answer.status().as_u16();
        let body = collect(answer.into_body()).await?;
        serde_json::from_slice(&body).map_err(|error| Failure::Odd {
            status,
            retry_after: None,
            reason: format!("status {status} with an unexpected body: {error}"),
        })
    }

    /// Sends once; an answer is one with a status of success.
    async fn try_once(&self, call: &Call, limit: Option<Duration>) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() =
            call.url.parse().map_err(|error| Failure::Unreachable(format!("{}: {error}", call.url)))?;
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().extend(self.credentials.authorization()?);
        if let Some(limit) = limit {
            // a tenth is left for the way, so that the answer "outcome unknown" still arrives
            if let Ok(value) = HeaderValue::try_from(format_duration(limit.mul_f64(0.9))) {
                request.headers_mut().insert(headers::TIMEOUT, value);
            }
        }
        let answer = self.http.request(request).await.map_err(|error| match error.is_connect() {
            true => Failure::Unreachable(innermost(&error)),
            false => Failure::Cut(innermost(&error)),
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Failure> {
    let whole = Limited::new(body, LARGEST_ANSWER).collect().await;
    whole.map(|whole| whole.to_bytes()).map_err(|error| Failure::Cut(error.to_string()))
}

async fn refusal(answer: Response<Incoming>) -> Failure {
    let status = answer.status().as_u16();
    let retry_after = retry_after(answer.headers());
    let body = match collect(answer.into_body()).await {
        Ok(body) => body,
        Err(failure) => return failure,
    };
    match serde_json::from_slice::<Problem>(&body) {
        Ok(mut problem) => {
            problem.retry_after = problem.retry_after.or(retry_after);
            Failure::Refused(Box::new(problem))
        }
        Err(_) => {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            Failure::Odd { status, retry_after, reason: format!("status {status}: {text}") }
        }
    }
}

/// Seconds to wait. The form with a date is not read: the own backoff waits instead.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}

/// The cause that says most: the innermost.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
