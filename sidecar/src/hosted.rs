use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use polylog_crds::resolve::ResolvedAlerts;
use polylog_log::{ConfigVersion, Limits, Point, RecordedEvent, SourceName};
use polylog_replication::{Consistency, Leadership, PrimaryWish, Store, TokenPoint};
use tokio::sync::watch;

use polylog_api::{Problem, Token};

use crate::pipeline::Routes;
use crate::policy::{Access, Policy, PolicyDocument, PolicyError};
use crate::sources::StorePlace;

/// A store as this process serves it.
pub struct Hosted {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The log.
    pub store: Store,
    /// Its sources in the manifest's order, also those that hold no log yet.
    pub sources: Vec<DeclaredSource>,
    /// What reads are served like that do not say it themselves.
    pub reads: ReadDefaults,
    /// Which source should be primary, as the manifest says.
    pub primary: PrimaryWish,
    /// From when on its sources are told to be slow, as far as the manifest says it.
    pub alerts: ResolvedAlerts,
    /// The databases that this process may provision; none in a cluster.
    pub places: Vec<StorePlace>,
    policy: Mutex<Followed>,
    routes: Mutex<Option<(ConfigVersion, Arc<Routes>)>>,
}

/// What reads are served like that do not say it themselves.
#[derive(Debug, Clone, Copy)]
pub struct ReadDefaults {
    /// How fresh.
    pub consistency: Consistency,
    /// How long to wait until the log reaches a read's token.
    pub wait: Duration,
    /// For bounded reads that name no lag: at most this many events behind.
    pub max_lag_events: u64,
    /// For bounded reads that name no lag: at most this long behind.
    pub max_lag: Duration,
    /// Whether the primary is read while it answers, and not whatever source answers soonest.
    pub prefers_primary: bool,
}

impl Default for ReadDefaults {
    fn default() -> Self {
        Self {
            consistency: Consistency::Session,
            wait: Duration::from_millis(200),
            max_lag_events: 1_000,
            max_lag: Duration::from_secs(2),
            prefers_primary: false,
        }
    }
}

/// A source as the manifest declares it.
#[derive(Debug, Clone)]
pub struct DeclaredSource {
    /// Its name.
    pub name: SourceName,
    /// Its engine, like `sqlite`.
    pub engine: String,
    /// `Voter` or `Learner`.
    pub role: String,
    /// Why it holds no log, if it holds none.
    pub unprovisioned: Option<String>,
    /// What whoever looks at it should know.
    pub remark: Option<String>,
    /// Whether somebody works on it, as the manifest says.
    pub is_in_maintenance: bool,
}

/// A store that is configured and not open yet.
pub(crate) struct Waiting {
    pub(crate) name: String,
    pub(crate) sources: Vec<DeclaredSource>,
    /// What the caller may do once it is open, as the manifest says.
    pub(crate) access: Option<Arc<Access>>,
    /// What is answered until then.
    pub(crate) problem: Problem,
    /// Where its log is known: how its sources are, and the way to another primary.
    pub(crate) leadership: Option<Leadership>,
}

struct Followed {
    receiver: watch::Receiver<Option<Bytes>>,
    compiled: Arc<Policy>,
}

impl Hosted {
    /// Serves a store whose log holds a policy that this version understands.
    pub fn new(
        namespace: String,
        name: String,
        store: Store,
        sources: Vec<DeclaredSource>,
    ) -> Result<Self, PolicyError> {
        let mut receiver = store.policy();
        let content = receiver.borrow_and_update().clone();
        let compiled = Arc::new(compile(content.as_deref(), &namespace)?);
        let policy = Mutex::new(Followed { receiver, compiled });
        Ok(Self {
            namespace,
            name,
            store,
            sources,
            reads: ReadDefaults::default(),
            primary: PrimaryWish::default(),
            alerts: ResolvedAlerts::default(),
            places: Vec::new(),
            policy,
            routes: Mutex::default(),
        })
    }

    /// The same, with what its strategy says of reads.
    #[must_use]
    pub fn with_reads(self, reads: ReadDefaults) -> Self {
        self.store.prefer_primary(reads.prefers_primary);
        Self { reads, ..self }
    }

    /// The same, with which source should be primary.
    #[must_use]
    pub fn with_primary(self, primary: PrimaryWish) -> Self {
        Self { primary, ..self }
    }

    /// The same, with from when on its sources are told to be slow.
    #[must_use]
    pub fn with_alerts(self, alerts: ResolvedAlerts) -> Self {
        Self { alerts, ..self }
    }

    /// The same, with the databases that this process may provision.
    #[must_use]
    pub fn with_places(self, places: Vec<StorePlace>) -> Self {
        Self { places, ..self }
    }

    /// The policy in force. A new one that this version cannot read leaves the old one in force, and is logged once.
    pub fn policy(&self) -> Arc<Policy> {
        let mut followed = self.policy.lock();
        if followed.receiver.has_changed().unwrap_or(false) {
            let content = followed.receiver.borrow_and_update().clone();
            match compile(content.as_deref(), &self.namespace) {
                Ok(policy) => followed.compiled = Arc::new(policy),
                Err(error) => {
                    tracing::error!(event = "policy_not_in_force", store = self.name, %error, "the new policy is not in force")
                }
            }
        }
        followed.compiled.clone()
    }

    /// Which source keeps the data of which events, as the log's configuration says.
    pub(crate) fn routes(&self) -> Result<Arc<Routes>, String> {
        let config = self.store.config();
        let mut known = self.routes.lock();
        if let Some((_, routes)) = known.as_ref().filter(|(version, _)| *version == config.version) {
            return Ok(routes.clone());
        }
        let routes = Arc::new(Routes::compile(&config)?);
        *known = Some((config.version, routes.clone()));
        Ok(routes)
    }

    /// What an append may hold: the policy's limits and those of the source.
    pub fn source_limits(&self) -> Limits {
        self.store.limits()
    }

    /// The token of an entry's end.
    pub fn token_at(&self, point: Point) -> Token {
        Token::at(self.store.identity().log, point)
    }

    /// The token of where a search ends.
    pub(crate) fn token_of_search(&self, end: TokenPoint) -> Token {
        Token::of_parts(end.log, end.position, end.term, end.chain)
    }

    /// The token of an event.
    pub fn token_of(&self, recorded: &RecordedEvent) -> Token {
        Token::new(self.store.identity().log, recorded.event.position, recorded.term, recorded.chain)
    }

    /// Where CloudEvents of this store come from.
    pub fn cloud_event_source(&self) -> String {
        format!("/polylog/{}/{}", self.namespace, self.name)
    }
}

/// A token as the store reads it.
pub(crate) fn token_point(token: Token) -> TokenPoint {
    TokenPoint { log: token.log(), position: token.position(), term: token.term(), chain: token.chain() }
}

fn compile(content: Option<&[u8]>, namespace: &str) -> Result<Policy, PolicyError> {
    match content {
        Some(content) => Policy::compile(&PolicyDocument::parse(content)?),
        None => Policy::compile(&PolicyDocument {
            namespace: namespace.into(),
            access: None,
            validation: Default::default(),
            schemas: Default::default(),
            enrich: Vec::new(),
            redact: Vec::new(),
            limits: Limits::default(),
        }),
    }
}
