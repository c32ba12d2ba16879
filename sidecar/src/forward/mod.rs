//! Stores that are reached through their gateway: a request goes on to it over TLS with the pod's token, and what it answers
//! comes back. No database credential is in this process.

mod answer;
mod attempts;
mod identity;
mod link;
mod target;
mod token;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use polylog_api::{Code, Problem, StoreStatus};
use polylog_log::Limits;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

pub(crate) use self::{
    answer::{Ending, Places, body as answer_body},
    attempts::{Attempts, Doubt, Sent},
    identity::{Identity, of_body, of_message},
    target::{InvalidTarget, Target},
};
use self::{link::Link, token::TokenFile};
use crate::{hosted::DeclaredSource, http::body, policy::Access};

/// A gateway lets 256 be open on one connection.
const MOST_STREAMS: usize = 250;
/// How long a status may take.
const STATUS: Duration = Duration::from_secs(2);

/// A store that is reached through its gateway. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Forward {
    /// What this process calls it.
    pub(crate) name: String,
    /// Most bytes of a request's body.
    pub(crate) largest: usize,
    /// Its sources, where its manifest is mounted.
    pub(crate) sources: Vec<DeclaredSource>,
    /// Who may do what there, where its manifest is mounted; the gateway is who judges it.
    pub(crate) access: Option<Arc<Access>>,
    target: Target,
    /// For what is answered at once, and for streams: readers who do not read hold up no append.
    links: [Arc<Link>; 2],
    streams: Arc<Semaphore>,
    token: Arc<TokenFile>,
}

/// Which of the connections a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// It is answered at once.
    Calls,
    /// Its answer may go on for long.
    Streams,
}

impl Forward {
    /// Connects when it is first used.
    ///
    /// # Errors
    /// What is wrong with the address or the authority.
    pub(crate) fn new(name: String, target: Target, token: PathBuf) -> Result<Self, InvalidTarget> {
        let links = [Arc::new(Link::new(&target)?), Arc::new(Link::new(&target)?)];
        let largest = body::largest(Limits::default());
        let (sources, access) = (Vec::new(), None);
        let (streams, token) = (Arc::new(Semaphore::new(MOST_STREAMS)), Arc::new(TokenFile::new(token)));
        Ok(Self { name, largest, sources, access, target, links, streams, token })
    }

    /// The same, with what the store's mounted manifest says.
    #[must_use]
    pub(crate) fn declared(self, limits: Limits, sources: Vec<DeclaredSource>, access: Access) -> Self {
        Self { largest: body::largest(limits), sources, access: Some(Arc::new(access)), ..self }
    }

    fn link(&self, lane: Lane) -> &Link {
        match lane {
            Lane::Calls => &self.links[0],
            Lane::Streams => &self.links[1],
        }
    }

    /// A place for an answer that may go on for long.
    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.streams.clone().try_acquire_owned().map_err(|_| {
            Problem::new(Code::Overloaded, format_args!("too many open streams of {} at once", self.name))
                .next_step("end some of them, or try again later")
                .retry_after(Duration::from_millis(500))
        })
    }

    /// Where it leads to.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// A request for the gateway: `path` begins with a slash.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Problem> {
        let uri = format!("https://{}{path}", self.target.address());
        let uri = uri.parse::<http::Uri>().map_err(|error| {
            Problem::new(Code::InvalidRequest, format_args!("path: {error}"))
                .next_step("correct the percent-encoding")
        })?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// What the gateway says of the store.
    pub(crate) async fn status(&self) -> Result<StoreStatus, Problem> {
        let path = format!("/v1/stores/{}", self.target.store());
        let request = self.request(Method::GET, &path, HeaderMap::new(), Bytes::new())?;
        let mut attempts = Attempts::new(self, Lane::Calls, Instant::now() + STATUS, Doubt::Never);
        loop {
            let Sent::Answered(answer) = attempts.send(&request).await? else { continue };
            let is_good = answer.status().is_success();
            let Some(whole) = attempts.whole(answer.into_body()).await? else { continue };
            let whole = whole.to_bytes();
            if is_good {
                return serde_json::from_slice(&whole).map_err(|error| self.unreachable(&error.to_string()));
            }
            let problem = serde_json::from_slice::<Problem>(&whole);
            let problem = problem.map_err(|error| self.unreachable(&error.to_string()))?;
            attempts.refused(problem).await?;
        }
    }

    /// The answer to a request that did not reach the gateway.
    pub(crate) fn unreachable(&self, reason: &str) -> Problem {
        Problem::new(
            Code::SourceUnavailable,
            format_args!("the gateway of {} at {}: {reason}", self.name, self.target.address()),
        )
        .next_step("try again")
        .retry_after(Duration::from_secs(1))
        .fact("gateway", self.target.address())
    }

    /// The answer to an append that may have reached it.
    fn unknown(&self, reason: &str) -> Problem {
        Problem::new(
            Code::OutcomeUnknown,
            format_args!(
                "the gateway of {} at {} did not say what became of it: {reason}",
                self.name,
                self.target.address()
            ),
        )
        .next_step("send the same ids or idempotency key again to learn what became of it")
        .fact("gateway", self.target.address())
    }

    /// The answer where the gateway does not accept who this is.
    fn refused(&self, reason: &str) -> Problem {
        Problem::new(
            Code::SourceRefused,
            format_args!(
                "the gateway of {} at {} does not take this pod's token: {reason}",
                self.name,
                self.target.address()
            ),
        )
        .next_step("look at the pod's projected token, and at issuer and keys in the gateway")
        .fact("reason", "auth")
        .fact("gateway", self.target.address())
    }
}
