use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use polylog_log::{Acks, Divergence, Failover, Identity, Limits, Member, Route, Source, SourceName};

use crate::{Duties, Replica, VerificationOptions};

/// What a [`Store`](crate::Store) is opened with.
#[derive(Clone)]
pub struct StoreOptions {
    /// Its name, for messages.
    pub name: String,
    /// The source that holds the log.
    pub source_name: SourceName,
    /// Its connection.
    pub source: Arc<dyn Source>,
    /// The log, database and incarnation that were provisioned there.
    pub identity: Identity,
    /// The other sources that hold the log; empty = the one above holds it alone.
    pub others: Vec<Replica>,
    /// Those among all of them that do not vote yet: they are filled, and nobody waits for them.
    pub learners: Vec<SourceName>,
    /// With several sources: who elects, and copies to those that fell behind.
    pub duties: Duties,
    /// With several sources: without a sign of life of the primary for this long, another becomes it.
    pub failover_after: Duration,
    /// With several sources: where no majority of the voters answers for twice as long, the log is opened with those that
    /// do, down to one. Only under a configuration with Automatic failover and an ack level below a majority. Processes on
    /// two sides of a cut may then both write; the tail that loses ends in quarantine, or is replayed.
    pub opens_minority: bool,
    /// With several sources: the one that should be primary whenever it can, and those that should not.
    pub primary: PrimaryWish,
    /// What the manifests say.
    pub config: DesiredConfig,
    /// Access, schemas and the like as opaque bytes, appended if they differ from the log's; `None` = leave as it is.
    pub policy: Option<Bytes>,
    /// Limits of the manifest; the source's own come on top.
    pub limits: Limits,
    /// How much may wait.
    pub queue: QueueBounds,
    /// Longest time that an append may take, whatever its caller's deadline.
    pub ack_timeout: Duration,
    /// Whether this process opens terms and writes `$config` and `$policy` (gateway, dev), or only uses what it finds.
    pub may_open: bool,
    /// How the sources are verified, by the process that has the duties; `None` = not at all.
    pub verification: Option<VerificationOptions>,
    /// Bytes of recent events kept in memory, while there are followers, for those that stand at the log's end.
    pub recent_bytes: usize,
}

impl StoreOptions {
    /// Every source, the first one first.
    pub(crate) fn replicas(&self) -> Vec<Replica> {
        let Self { source_name, source, identity, others, .. } = self;
        let first = Replica { name: source_name.clone(), source: source.clone(), identity: *identity };
        std::iter::once(first).chain(others.iter().cloned()).collect()
    }

    /// Whether the process begins with the duties of several sources.
    pub(crate) fn has_duties(&self) -> bool {
        match self.duties {
            Duties::Own | Duties::Shown(_) => self.may_open,
            Duties::OnceFree(_) => false,
        }
    }

    /// Voters and learners.
    pub(crate) fn members(&self) -> (Vec<Member>, Vec<Member>) {
        let members = self.replicas().iter().map(Replica::member).collect::<Vec<_>>();
        members.into_iter().partition(|member| !self.learners.contains(&member.name))
    }

    /// How long a step of opening may take. One that waits for all sources waits until one that is away counts no more.
    pub(crate) fn longest_opening(&self) -> Duration {
        match self.config.acks {
            Acks::All if !self.others.is_empty() => self.ack_timeout + self.failover_after * 2,
            _ => self.ack_timeout,
        }
    }

    /// Options with the defaults: 5 s for an append, 4 MiB of recent events, opens terms.
    pub fn new(
        name: impl Into<String>,
        source_name: SourceName,
        source: Arc<dyn Source>,
        identity: Identity,
    ) -> Self {
        Self {
            name: name.into(),
            source_name,
            source,
            identity,
            others: Vec::new(),
            learners: Vec::new(),
            duties: Duties::Own,
            failover_after: Duration::from_secs(2),
            opens_minority: false,
            primary: PrimaryWish::default(),
            config: DesiredConfig::default(),
            policy: None,
            limits: Limits::default(),
            queue: QueueBounds::default(),
            ack_timeout: Duration::from_secs(5),
            may_open: true,
            verification: None,
            recent_bytes: 4 << 20,
        }
    }
}

/// Which source should be primary. Nothing is lost by a switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrimaryWish {
    /// This one, whenever it can; `None` = any.
    pub wanted: Option<SourceName>,
    /// Not these, as long as another voter can: they are under maintenance, or about to leave.
    pub avoided: BTreeSet<SourceName>,
}

/// The replication configuration that the manifests ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredConfig {
    /// The store's ack level.
    pub acks: Acks,
    /// Least number of voters in sync for [`Acks::All`].
    pub min_in_sync: u8,
    /// Who may open another primary.
    pub failover: Failover,
    /// What happens to a tail that lost.
    pub divergence: Divergence,
    /// Order in which sources are preferred as primary; empty = the one source.
    pub order: Vec<SourceName>,
    /// Appends are refused while more events than this are in the primary alone; `None` = never.
    pub max_unreplicated_events: Option<u64>,
    /// Which source keeps the data of which events; the first that fits counts.
    pub routes: Vec<Route>,
    /// The source that keeps the data of all others, where there are routes.
    pub default_route: Option<SourceName>,
}

impl Default for DesiredConfig {
    fn default() -> Self {
        Self {
            acks: Acks::Count(1),
            min_in_sync: 1,
            failover: Failover::Manual,
            divergence: Divergence::Quarantine,
            order: Vec::new(),
            max_unreplicated_events: None,
            routes: Vec::new(),
            default_route: None,
        }
    }
}

/// How many appends may wait to be sent; more are refused as overloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueBounds {
    /// Number of commits.
    pub commits: usize,
    /// Bytes of all waiting commits. A single commit larger than this is taken when nothing else waits.
    pub bytes: usize,
}

impl Default for QueueBounds {
    fn default() -> Self {
        Self { commits: 4_096, bytes: 16 << 20 }
    }
}
