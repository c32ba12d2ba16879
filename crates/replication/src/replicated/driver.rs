//! The task that owns a [`Peer`] and carries out what it asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(feature = "mutants")]
use polylog_log::mutants;
use polylog_log::{Config, Failure, LogId, Member, Point, Position, Source, SourceName, Term};
use rand::Rng;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Answered, Behind, Handle, Kept, Place, Replica, View, call::call, handle::Command, lag::Progress,
    view::Replicated,
};
use crate::{
    AppendError, PrimaryWish, QueueBounds, Stalled,
    heads::Heads,
    quorum::{Answer, Operation, Peer, PeerOptions, Request, Rules, Seen, SeenLead, SeenSource, rests_on},
};

/// A source that refuses writes for less than this is not told of: it may be about to come back.
const TOLD_AFTER: Duration = Duration::from_secs(1);
/// Commands that wait while the task is busy; more wait in front of the channel.
const COMMANDS: usize = 1_024;

/// What a driver begins with.
pub(crate) struct DriverOptions {
    pub(crate) name: String,
    pub(crate) log: LogId,
    pub(crate) replicas: Vec<Replica>,
    /// Whether it elects, and copies to those that fell behind.
    pub(crate) has_duties: bool,
    pub(crate) failover_after: Duration,
    /// Whether the log is opened with whatever voters answer.
    pub(crate) opens_minority: bool,
    /// The source that should be primary.
    pub(crate) primary: PrimaryWish,
    pub(crate) queue: QueueBounds,
}

/// Who waits for what.
enum Caller {
    Append(oneshot::Sender<Result<Kept, AppendError>>),
    Proof(oneshot::Sender<Option<Point>>),
}

/// A request, when it was sent, and its answer.
type Done = (Request, Instant, Answer);

/// The task. It ends with the last of its handles: strong reads go on when nothing is appended any more.
pub(crate) struct Driver {
    name: String,
    sources: BTreeMap<SourceName, Arc<dyn Source>>,
    peer: Peer<Caller>,
    commands: mpsc::Receiver<Command>,
    calls: JoinSet<Done>,
    obeyed: watch::Sender<Term>,
    /// Why reads failed.
    failures: BTreeMap<SourceName, Failure>,
    /// Why writes failed.
    refusals: BTreeMap<SourceName, Failure>,
    answered: Arc<Answered>,
    progress: Progress,
    /// The configuration that was asked for, until the log has it.
    wanted: Option<Config>,
    view: watch::Sender<Arc<View>>,
    /// Where readers learn of the log's end.
    heads: Arc<Heads>,
    /// Those that are read only where no other can answer.
    avoided: BTreeSet<SourceName>,
    asked_to_drain: CancellationToken,
    is_draining: bool,
    /// Everything that was taken is answered, and nothing more is taken.
    drained: watch::Sender<bool>,
    has_handles: bool,
}

impl Driver {
    /// `heads` are told of the log's end.
    pub(crate) fn new(options: DriverOptions, heads: Arc<Heads>) -> (Self, Handle) {
        let DriverOptions { name, log, replicas, has_duties, failover_after, opens_minority, primary, queue } =
            options;
        let known: Vec<_> = replicas.iter().map(|replica| (replica.name.clone(), replica.identity)).collect();
        let rules = Rules::default();
        let mut peer =
            Peer::new(PeerOptions { log, has_duties, failover_after, queue, is_begun: true, rules }, known);
        let avoided = primary.avoided.clone();
        want_primary(&mut peer, primary);
        peer.open_minority(opens_minority);
        let (sender, commands) = mpsc::channel(COMMANDS);
        let view = watch::Sender::new(View::empty());
        let asked_to_drain = CancellationToken::new();
        let drained = watch::Sender::new(false);
        let answered = Arc::new(Answered::new(replicas.iter().map(|replica| replica.name.clone()), now()));
        let handle = Handle {
            commands: sender,
            view: view.subscribe(),
            drain: asked_to_drain.clone(),
            drained: drained.subscribe(),
            answered: answered.clone(),
        };
        let driver = Self {
            name,
            sources: replicas.into_iter().map(|replica| (replica.name, replica.source)).collect(),
            peer,
            commands,
            calls: JoinSet::new(),
            obeyed: watch::Sender::new(Term::ZERO),
            failures: BTreeMap::new(),
            refusals: BTreeMap::new(),
            answered,
            progress: Progress::default(),
            wanted: None,
            view,
            heads,
            avoided,
            asked_to_drain,
            is_draining: false,
            drained,
            has_handles: true,
        };
        (driver, handle)
    }

    pub(crate) async fn run(mut self) {
        loop {
            let now = now();
            for request in self.peer.poll(now, rand::rng().random()) {
                self.send(request);
            }
            self.publish(now);
            self.answer_callers();
            if self.is_draining && self.peer.is_idle() {
                if !self.has_handles {
                    return;
                }
                self.drained.send_replace(true);
                // others have the duties; somebody may still want to read strongly
                self.peer.set_duties(false);
                match self.commands.recv().await {
                    Some(command) => self.take(command),
                    None => return,
                }
                continue;
            }
            let wakes_at = tokio::time::Instant::from_std(self.peer.wakes_at(now));
            tokio::select! {
                Some(done) = self.calls.join_next() => self.done(done),
                command = self.commands.recv(), if self.has_handles => match command {
                    Some(command) => self.take(command),
                    None => {
                        self.has_handles = false;
                        self.drain();
                    }
                },
                () = self.asked_to_drain.cancelled(), if !self.is_draining => self.drain(),
                () = tokio::time::sleep_until(wakes_at) => {}
            }
            // whatever else came meanwhile belongs to the same step
            while let Some(done) = self.calls.try_join_next() {
                self.done(done);
            }
            for _ in 0..COMMANDS {
                let Ok(command) = self.commands.try_recv() else { break };
                self.take(command);
            }
        }
    }

    fn send(&mut self, request: Request) {
        let Some(source) = self.sources.get(&request.source).cloned() else { return };
        let (obeyed, sent_at) = (self.obeyed.subscribe(), now());
        self.calls.spawn(async move { (request.clone(), sent_at, call(source, request, obeyed).await) });
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        // a call catches what its source does, and nobody aborts it
        let Ok((request, sent_at, answer)) = done else { return };
        let is_late = matches!(answer, Answer::Head(Err(Failure::Timeout(_))));
        if is_late && self.answered.is_after(&request.source, sent_at) && self.peer.forgives(request.id) {
            return;
        }
        let failure = match answer.head() {
            // it answers, and is not the database that is asked for
            Some(head) if head.identity != request.of => Some(Failure::WrongStore(format!(
                "database {}, incarnation {}",
                head.identity.database, head.identity.incarnation
            ))),
            Some(_) => None,
            // what is not dropped or kept now is later
            None if matches!(&request.operation, Operation::Strip(_)) => None,
            None if matches!(&request.operation, Operation::Lease(swap) if swap.set.is_some()) => None,
            None => answer.failure().cloned(),
        };
        match (answer.head(), failure) {
            (Some(_), None) => {
                self.failures.remove(&request.source);
            }
            (head, Some(failure)) => {
                let is_known =
                    [&self.failures, &self.refusals].iter().any(|one| one.contains_key(&request.source));
                // another database than the one that is asked for is none to read from either
                let failures = match request.operation.writes() && head.is_none() {
                    true => &mut self.refusals,
                    false => &mut self.failures,
                };
                failures.insert(request.source.clone(), failure.clone());
                if !is_known {
                    tracing::warn!(
                        event = "source_failing", store = %self.name, source = %request.source, error = %failure,
                        "a source does not do its work"
                    );
                }
            }
            (None, None) => {}
        }
        self.peer.answer(now(), request.id, answer, rand::rng().random());
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Append { commit, acks, deadline, reply } => {
                self.peer.append(commit, acks, deadline, Caller::Append(reply));
            }
            Command::Want(config) => {
                self.peer.want_config(Some((*config).clone()));
                self.wanted = Some(*config);
            }
            Command::WantPrimary(wish) => {
                self.avoided.clone_from(&wish.avoided);
                want_primary(&mut self.peer, wish);
            }
            // who went away does not want to know
            Command::Force { absent, reply } => drop(reply.send(self.peer.force(absent))),
            Command::Duties(has_duties) => self.peer.set_duties(has_duties),
            Command::Failover { after, opens_minority } => {
                self.peer.set_failover_after(after);
                self.peer.open_minority(opens_minority);
            }
            Command::Prove { deadline, reply } => self.peer.prove_tail(deadline, Caller::Proof(reply)),
        }
    }

    fn drain(&mut self) {
        self.is_draining = true;
        while let Ok(command) = self.commands.try_recv() {
            self.take(command);
        }
        self.peer.drain();
    }

    /// After [`Self::publish`]: whoever is answered finds what they were told of.
    fn answer_callers(&mut self) {
        for (caller, outcome) in self.peer.take_outcomes() {
            let Caller::Append(reply) = caller else { continue };
            let kept = outcome.map(|verdict| {
                let by = self.peer.holders(rests_on(&verdict).position);
                Kept { verdict, by }
            });
            // a caller that went away does not want to know
            let _ = reply.send(kept);
        }
        for (caller, proof) in self.peer.take_proofs() {
            if let Caller::Proof(reply) = caller {
                let _ = reply.send(proof);
            }
        }
    }

    fn publish(&mut self, now: Instant) {
        let seen = self.peer.seen();
        let term = seen.lead.as_ref().map_or(Term::ZERO, |lead| lead.term);
        if self.obeyed.send_if_modified(|obeyed| std::mem::replace(obeyed, term.max(*obeyed)) < term)
            && let Some(lead) = &seen.lead
        {
            tracing::info!(
                event = "primary_obeyed", store = %self.name, %term, primary = %lead.primary, tail = %lead.tail.position,
                "a source leads a term"
            );
        }
        if let Some(lead) = &seen.lead {
            self.progress.came_to(lead.tail.position, now);
            // kept on wanting it, two processes that were asked for different ones would take turns for ever
            if self.wanted.as_ref().is_some_and(|wanted| is_reached(wanted, lead)) {
                self.wanted = None;
                self.peer.want_config(None);
            }
        }
        for source in seen.sources.iter().filter(|source| source.refuses_since.is_none()) {
            self.refusals.remove(&source.name);
        }
        let positions = seen.sources.iter().map(|source| position_of(source.head.as_ref()));
        self.progress.all_have(positions.min().unwrap_or(Position::ZERO));
        let before = self.view.borrow().clone();
        let place = place(&seen, before.place.as_ref(), &self.avoided);
        let behind = match &seen.lead {
            Some(_) => behind(&seen, place.as_ref(), &self.progress),
            None => {
                let forgot = |name: &SourceName| {
                    seen.sources.iter().any(|source| source.name == *name && source.went_back)
                };
                before.behind.iter().filter(|behind| !forgot(&behind.name)).cloned().collect()
            }
        };
        let Seen { lead, has_duties, sources, waiting, sent } = seen;
        let failure_of = |seen: &SeenSource| {
            let refuses = |since: &Instant| now.saturating_duration_since(*since) >= TOLD_AFTER;
            let read = seen.failing_since.and_then(|_| self.failures.get(&seen.name));
            let written = || seen.refuses_since.filter(refuses).and_then(|_| self.refusals.get(&seen.name));
            read.or_else(written).cloned()
        };
        let replicated = |seen: SeenSource| Replicated {
            failure: failure_of(&seen),
            lag: seen.head.as_ref().map(|head| self.progress.behind(head.tail.position, now)),
            seen,
        };
        let view = View {
            number: before.number,
            primary: lead.map(|lead| (lead.primary, lead.term)),
            has_duties,
            place,
            behind,
            sources: sources.into_iter().map(replicated).collect(),
            waiting,
            sent,
            is_draining: self.is_draining,
        };
        if view == *before {
            return;
        }
        self.tell_stalled(&before, &view);
        self.tell_went_back(&before, &view);
        let view = View { number: before.number + 1, ..view };
        if let Some(place) = view.place.as_ref().filter(|place| before.place.as_ref() != Some(*place)) {
            self.heads.feed(place.shown(view.number));
        }
        self.view.send_replace(Arc::new(view));
    }

    fn tell_went_back(&self, before: &View, after: &View) {
        let went_back = |view: &View, name: &SourceName| {
            view.sources.iter().any(|source| source.seen.name == *name && source.seen.went_back)
        };
        for Replicated { seen: source, .. } in &after.sources {
            if went_back(after, &source.name) && !went_back(before, &source.name) {
                tracing::error!(
                    event = "source_went_back", store = %self.name, source = %source.name,
                    "a source shows less than was seen of it: it does not count any more"
                );
            }
        }
    }

    fn tell_stalled(&self, before: &View, after: &View) {
        for Replicated { seen: source, .. } in &after.sources {
            let known = before.sources.iter().find(|other| other.seen.name == source.name);
            let known = known.and_then(|known| known.seen.stalled.as_ref());
            match &source.stalled {
                Some(Stalled { position, reason })
                    if known.is_none_or(|known| known.position != *position) =>
                {
                    tracing::warn!(
                        event = "source_stalled", store = %self.name, source = %source.name, %position, reason,
                        "a source cannot store the next commit"
                    );
                }
                None if known.is_some() => {
                    tracing::info!(
                        event = "source_goes_on", store = %self.name, source = %source.name,
                        "a source stores again what it could not"
                    );
                }
                _ => {}
            }
        }
    }
}

fn want_primary<T>(peer: &mut Peer<T>, wish: PrimaryWish) {
    peer.want_primary(wish.wanted);
    peer.avoid_primaries(wish.avoided);
}

/// What may be read, and who holds all of it. What a majority holds stays readable, whatever becomes of the primary; at lower
/// levels the primary of the newest term may hold more than anybody else.
fn place(seen: &Seen, before: Option<&Place>, avoided: &BTreeSet<SourceName>) -> Option<Place> {
    let Some(lead) = &seen.lead else { return before.cloned() };
    let config = &lead.config.config;
    let is_lossy = config.is_lossy();
    let cap = if is_lossy { lead.acked } else { lead.committed };
    #[cfg(feature = "mutants")]
    let cap = match mutants::active() {
        Some(mutants::Mutant::UnsettledRead) => cap.map(|_| lead.tail),
        _ => cap,
    };
    let cap = match (cap, before) {
        (Some(cap), Some(before)) if !is_lossy && !before.is_lossy && cap.position < before.cap.position => {
            before.cap
        }
        (Some(cap), _) => cap,
        // not counted under this term yet
        (None, before) => return before.cloned(),
    };
    let source = |name: &SourceName| seen.sources.iter().find(|source| source.name == *name);
    let head = source(&lead.primary).and_then(|source| source.head.clone());
    let head = head.filter(|head| head.is_primary() && head.term == lead.term);
    let Some(head) = head else { return before.cloned() };
    let is_level = |held: Option<Point>| held.is_some_and(|held| held.position >= cap.position);
    let mut holders = vec![lead.primary.clone()];
    if !is_lossy {
        let others =
            seen.sources.iter().filter(|source| source.name != lead.primary && is_level(source.held));
        holders.extend(others.map(|source| source.name.clone()));
    }
    let spared = avoided.clone();
    Some(Place { head, cap, is_lossy, holders, spared, term: lead.term })
}

/// Those that may be read where nobody answers who holds all that may be shown.
fn behind(seen: &Seen, place: Option<&Place>, progress: &Progress) -> Vec<Behind> {
    let is_holder = |name: &SourceName| place.is_some_and(|place| place.holders.contains(name));
    let others = seen.sources.iter().filter(|source| !is_holder(&source.name));
    let behind = |source: &SeenSource| {
        let settled = source.settled?;
        let since = progress.behind_since(settled.cap.position);
        Some(Behind { name: source.name.clone(), settled, since })
    };
    others.filter_map(behind).collect()
}

/// Whether the log has this configuration for good, whatever its version and who is in sync.
fn is_reached(wanted: &Config, lead: &SeenLead) -> bool {
    let now = &lead.config.config;
    let are_same = |one: &[Member], other: &[Member]| {
        one.len() == other.len() && one.iter().all(|member| other.contains(member))
    };
    let is_committed = lead.committed.is_some_and(|committed| committed.position >= lead.config.position);
    let settings = Config {
        version: now.version,
        voters: now.voters.clone(),
        learners: now.learners.clone(),
        in_sync: now.in_sync.clone(),
        keepers: now.keepers.clone(),
        is_newer: now.is_newer,
        ..wanted.clone()
    };
    is_committed
        && are_same(&wanted.voters, &now.voters)
        && are_same(&wanted.learners, &now.learners)
        && settings == **now
}

fn position_of(head: Option<&polylog_log::Head>) -> Position {
    head.map_or(Position::ZERO, |head| head.tail.position)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
