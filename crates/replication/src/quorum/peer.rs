//! One process at work on a log of several voters: appends, copies, counts, answers, and elects where that is its duty.

mod answers;
mod copies;
mod electing;
mod leading;
mod memory;
mod orders;
mod reads;
mod requests;
mod seen;
mod strips;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use polylog_log::{Acks, Commit, Config, Identity, LogId, NewEvent, Nonce, Point, SourceName, Term, Verdict};

use super::{
    election::Attempt,
    evidence::Evidence,
    known::Sources,
    request::{Operation, Request},
    rules::Rules,
    written::Written,
};
use crate::{
    AppendError, QueueBounds,
    group::{Group, Outcome},
    quorum::{copying::Copying, stripping::Stripping},
};

pub(crate) use answers::{lost, rests_on};
pub use orders::ForceRefused;
use orders::Orders;
pub(crate) use seen::{Seen, SeenLead, SeenSource};

/// How a process takes part.
#[derive(Debug, Clone)]
pub(crate) struct PeerOptions {
    pub(crate) log: LogId,
    /// Whether it elects, copies to those that fell behind, and tells how far everything is (gateway, dev).
    pub(crate) has_duties: bool,
    /// Without a sign of life of the primary for this long, another is elected.
    pub(crate) failover_after: Duration,
    pub(crate) queue: QueueBounds,
    /// Whether only logs that hold a `$config` count. The implicit one of a log that was provisioned and not begun names one
    /// voter: taken for the log's own, it would let each source elect itself.
    pub(crate) is_begun: bool,
    pub(crate) rules: Rules,
}

/// How long more promises are waited for than a majority.
const PATIENCE: Duration = Duration::from_millis(150);
/// An attempt that takes longer than this is given up.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(3);
/// How often heads are read where nothing else brings them.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same while the primary is silent: whether somebody else reaches it shows in the others' heads.
const LOOK_CLOSELY: Duration = Duration::from_millis(60);
/// Between two changes of the configuration that did not succeed.
const CONFIGURE_EVERY: Duration = Duration::from_millis(100);
/// After so long without an answer of the source that keeps an event's data, appends of such events are refused.
const KEEPER_GONE: Duration = Duration::from_secs(1);
/// Most strong reads that wait for their proofs; more are told that there is none.
const MOST_BARRIERS: usize = 4_096;
/// Watermarks are told to the primary after this much time without an append that would carry them.
const PUBLISH_AFTER: Duration = Duration::from_millis(50);

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    Look,
    Append {
        attempt: u64,
        term: Term,
    },
    Publish,
    Configure,
    Copy(SourceName),
    /// The page after the one that is copied.
    Ahead(SourceName),
    /// Dropping data that another source keeps.
    Strip(SourceName),
    /// What it keeps of the others.
    Ask,
    /// Telling it what it is to keep of the others.
    Remind,
    Elect,
}

#[derive(Debug)]
struct UnderWay {
    source: SourceName,
    purpose: Purpose,
    /// The revision that had been seen of the source: an answer that shows less is that of one that forgot.
    floor: u64,
    sent_at: Instant,
    /// Whether it changes something.
    writes: bool,
}

/// The primary that is obeyed, and what is known of who holds its log.
#[derive(Debug)]
struct Lead {
    evidence: Evidence,
    copies: BTreeMap<SourceName, Copying>,
    written: Written,
    strips: BTreeMap<SourceName, Stripping>,
}

/// A caller and what it wants.
#[derive(Debug)]
struct Caller<T> {
    handle: T,
    /// Kept for another try under another term.
    commit: Commit,
    acks: Option<Acks>,
    deadline: Instant,
    /// The sources that keep the data of its events alone.
    keepers: Vec<SourceName>,
    /// An earlier term wrote it, and what became of that is not known.
    may_be_written: bool,
}

/// A commit that waits for its ack level.
#[derive(Debug)]
struct Unacked<T> {
    caller: Caller<T>,
    verdict: Verdict,
    /// What the verdict rests on.
    point: Point,
    term: Term,
}

/// A strong read that waits for its proof.
#[derive(Debug)]
struct Barrier<T> {
    handle: T,
    /// Only answers to requests from this number on prove anything.
    began: u64,
    deadline: Instant,
    tail: Option<(Term, Point)>,
    fresh: BTreeSet<SourceName>,
}

/// See the module.
pub(crate) struct Peer<T> {
    options: PeerOptions,
    sources: Sources,
    next_id: u64,
    under_way: BTreeMap<u64, UnderWay>,
    lead: Option<Lead>,
    attempt: Option<Attempt>,
    group: Group<Caller<T>>,
    unacked: VecDeque<Unacked<T>>,
    barriers: Vec<Barrier<T>>,
    outcomes: Vec<(T, Outcome)>,
    proofs: Vec<(T, Option<Point>)>,
    looked_at: BTreeMap<SourceName, Instant>,
    /// How often the sources had moved, and since when they have not.
    stillness: Option<(u64, Instant)>,
    /// When the primary answered last.
    primary_answered_at: Option<Instant>,
    orders: Orders,
    configured_at: Option<Instant>,
    /// Another source that is primary of the same term: both were opened without a majority.
    rival: bool,
    /// A term later than the primary's that some voter stands under, and since when.
    stranded: Option<(Term, Instant)>,
    appended_at: Option<Instant>,
    /// More commits are about to come for the next batch: it is sent at this moment.
    gathers_until: Option<Instant>,
    /// Whether enough is known of what the sources keep of each other: nobody is obeyed before that.
    is_enough: bool,
    /// When [`Self::poll`] was called last, if ever.
    polled_at: Option<Instant>,
}

impl<T> Peer<T> {
    pub(crate) fn new(
        options: PeerOptions,
        sources: impl IntoIterator<Item = (SourceName, Identity)>,
    ) -> Self {
        let group = Group::new(options.queue, None);
        Self {
            options,
            sources: Sources::new(sources),
            next_id: 0,
            under_way: BTreeMap::new(),
            lead: None,
            attempt: None,
            group,
            unacked: VecDeque::new(),
            barriers: Vec::new(),
            outcomes: Vec::new(),
            proofs: Vec::new(),
            looked_at: BTreeMap::new(),
            stillness: None,
            primary_answered_at: None,
            orders: Orders::default(),
            configured_at: None,
            rival: false,
            stranded: None,
            appended_at: None,
            gathers_until: None,
            is_enough: false,
            polled_at: None,
        }
    }

    /// Takes a commit, to be answered once it has the store's ack level, or `acks` if that is higher.
    pub(crate) fn append(&mut self, commit: Commit, acks: Option<Acks>, deadline: Instant, handle: T) {
        let keepers = keepers_of(&commit);
        if let Some(gone) = keepers.iter().find(|name| self.is_gone(name)) {
            return self.outcomes.push((handle, Err(AppendError::RouteUnavailable(gone.clone()))));
        }
        let caller =
            Caller { handle, commit: commit.clone(), acks, deadline, keepers, may_be_written: false };
        if let Err((caller, error)) = self.group.offer(commit, deadline, caller) {
            self.outcomes.push((caller.handle, Err(error)));
        }
    }

    /// Whether a source is away, so that what it alone keeps cannot be acknowledged.
    fn is_gone(&self, name: &SourceName) -> bool {
        let is_out = |now| self.sources.is_out(name, now, KEEPER_GONE);
        self.sources.get(name).is_none() || self.polled_at.is_some_and(is_out)
    }

    /// Commits that were decided, each once.
    pub(crate) fn take_outcomes(&mut self) -> Vec<(T, Outcome)> {
        std::mem::take(&mut self.outcomes)
    }

    /// The term that is obeyed.
    pub(crate) fn term(&self) -> Option<Term> {
        self.lead.as_ref().map(|lead| lead.evidence.term())
    }

    /// Below which revision this process would notice that the source forgot, whatever answer comes next.
    #[cfg(test)]
    pub(crate) fn notices_below(&self, source: &SourceName) -> u64 {
        let floors = self.under_way.values().filter(|one| one.source == *source).map(|one| one.floor);
        floors.chain([self.sources.floor(source)]).min().unwrap_or(0)
    }

    /// What to send now. Call again after every answer and at the moment that [`Self::wakes_at`] names; `random` is fresh.
    pub(crate) fn poll(&mut self, now: Instant, random: u128) -> Vec<Request> {
        let mut requests = Vec::new();
        self.polled_at = Some(now);
        self.expire(now);
        self.step_memory(now, &mut requests);
        self.step_election(now, random, &mut requests);
        self.step_appends(now, &mut requests);
        self.step_config(now, &mut requests);
        self.step_copies(now, &mut requests);
        self.step_strips(now, &mut requests);
        self.step_watermarks(now, &mut requests);
        self.step_looks(now, &mut requests);
        self.release(now);
        requests
    }

    /// When to call [`Self::poll`] although nothing came.
    pub(crate) fn wakes_at(&self, now: Instant) -> Instant {
        let steps = [
            self.unacked.iter().map(|unacked| unacked.caller.deadline).min(),
            self.barriers.iter().map(|barrier| barrier.deadline).min(),
            self.attempt.as_ref().map(|attempt| attempt.wakes_at(now)),
            self.gathers_until,
            Some(now + LOOK_EVERY / 5),
        ];
        steps.into_iter().flatten().min().unwrap_or(now + LOOK_EVERY).max(now + Duration::from_millis(1))
    }

    fn request(&mut self, source: SourceName, purpose: Purpose, operation: Operation) -> Option<Request> {
        let of = self.sources.get(&source)?.identity;
        self.next_id += 1;
        let floor = self.sources.floor(&source);
        let (sent_at, writes) = (self.polled_at?, operation.writes());
        let under_way = UnderWay { source: source.clone(), purpose, floor, sent_at, writes };
        self.under_way.insert(self.next_id, under_way);
        Some(Request { id: self.next_id, source, of, operation })
    }

    /// Whether a majority of the voters answers, as far as is known.
    fn reaches_majority(&self, config: &Config, reaches: impl Fn(&SourceName) -> bool) -> bool {
        let voters =
            config.voters.iter().filter(|voter| self.sources.is_member(voter) && reaches(&voter.name));
        voters.count() >= Acks::Majority.required(config.voters.len())
    }

    fn is_under_way(&self, is: impl Fn(&UnderWay) -> bool) -> bool {
        self.under_way.values().any(is)
    }

    fn expire(&mut self, now: Instant) {
        let (late, waiting) = std::mem::take(&mut self.unacked)
            .into_iter()
            .partition::<VecDeque<_>, _>(|unacked| now >= unacked.caller.deadline);
        self.unacked = waiting;
        for unacked in late {
            let error = match unacked.verdict {
                Verdict::Committed(_) | Verdict::Duplicate(_) => {
                    AppendError::AcksTimeout { provisional: unacked.point }
                }
                _ if unacked.caller.may_be_written => AppendError::OutcomeUnknown,
                _ => AppendError::NoPrimary,
            };
            self.outcomes.push((unacked.caller.handle, Err(error)));
        }
        let (late, waiting) = std::mem::take(&mut self.barriers)
            .into_iter()
            .partition::<Vec<_>, _>(|barrier| now >= barrier.deadline);
        self.barriers = waiting;
        self.proofs.extend(late.into_iter().map(|barrier| (barrier.handle, None)));
    }
}

/// The sources that keep the data of some of its events alone.
fn keepers_of(commit: &Commit) -> Vec<SourceName> {
    let mut keepers: Vec<SourceName> = commit.events().filter_map(NewEvent::keeper).collect();
    keepers.sort_unstable();
    keepers.dedup();
    keepers
}

/// Where a nonce comes from: fresh for each attempt.
fn nonce_of(random: u128) -> Nonce {
    Nonce::new(uuid::Uuid::from_u128(random))
}
