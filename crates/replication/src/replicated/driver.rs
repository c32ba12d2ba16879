//! The task that owns a [`Peer`] and carries out what it asks for.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{Failure, LogId, Point, Position, Source, SourceName, Term};
use rand::Rng;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Handle, Kept, Place, Replica, View, call::call, handle::Command, lag::Progress, view::Replicated,
};
use crate::{
    AppendError, QueueBounds,
    heads::Heads,
    quorum::{Answer, Peer, PeerOptions, Request, Rules, Seen, SeenSource, rests_on},
};

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
    /// The source that should be primary.
    pub(crate) primary: Option<SourceName>,
    pub(crate) queue: QueueBounds,
}

/// Who waits for what.
enum Caller {
    Append(oneshot::Sender<Result<Kept, AppendError>>),
    Proof(oneshot::Sender<Option<Point>>),
}

/// The task. It ends when it drains and everybody is answered, or with the last of its handles.
pub(crate) struct Driver {
    name: String,
    sources: BTreeMap<SourceName, Arc<dyn Source>>,
    peer: Peer<Caller>,
    commands: mpsc::Receiver<Command>,
    calls: JoinSet<(Request, Answer)>,
    obeyed: watch::Sender<Term>,
    failures: BTreeMap<SourceName, Failure>,
    progress: Progress,
    view: watch::Sender<Arc<View>>,
    /// Where readers learn of the log's end.
    heads: Arc<Heads>,
    asked_to_drain: CancellationToken,
    is_draining: bool,
}

impl Driver {
    /// `heads` are told of the log's end.
    pub(crate) fn new(options: DriverOptions, heads: Arc<Heads>) -> (Self, Handle) {
        let DriverOptions { name, log, replicas, has_duties, failover_after, primary, queue } = options;
        let known: Vec<_> = replicas.iter().map(|replica| (replica.name.clone(), replica.identity)).collect();
        let rules = Rules::default();
        let mut peer =
            Peer::new(PeerOptions { log, has_duties, failover_after, queue, is_begun: true, rules }, known);
        peer.want_primary(primary);
        let (sender, commands) = mpsc::channel(COMMANDS);
        let view = watch::Sender::new(View::empty());
        let asked_to_drain = CancellationToken::new();
        let handle = Handle { commands: sender, view: view.subscribe(), drain: asked_to_drain.clone() };
        let driver = Self {
            name,
            sources: replicas.into_iter().map(|replica| (replica.name, replica.source)).collect(),
            peer,
            commands,
            calls: JoinSet::new(),
            obeyed: watch::Sender::new(Term::ZERO),
            failures: BTreeMap::new(),
            progress: Progress::default(),
            view,
            heads,
            asked_to_drain,
            is_draining: false,
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
                return;
            }
            let wakes_at = tokio::time::Instant::from_std(self.peer.wakes_at(now));
            tokio::select! {
                Some(done) = self.calls.join_next() => self.done(done),
                command = self.commands.recv(), if !self.is_draining => match command {
                    Some(command) => self.take(command),
                    None => self.drain(),
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
        let obeyed = self.obeyed.subscribe();
        self.calls.spawn(async move { (request.clone(), call(source, request, obeyed).await) });
    }

    fn done(&mut self, done: Result<(Request, Answer), tokio::task::JoinError>) {
        // a call catches what its source does, and nobody aborts it
        let Ok((request, answer)) = done else { return };
        match (answer.head(), answer.failure()) {
            (Some(_), _) => {
                self.failures.remove(&request.source);
            }
            (None, Some(failure)) => {
                let is_news = self.failures.insert(request.source.clone(), failure.clone()).is_none();
                if is_news {
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
            Command::Want(config) => self.peer.want_config(Some(*config)),
            Command::Prove { deadline, reply } => self.peer.prove_tail(deadline, Caller::Proof(reply)),
        }
    }

    fn drain(&mut self) {
        self.is_draining = true;
        self.commands.close();
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
        }
        let positions = seen.sources.iter().map(|source| position_of(source.head.as_ref()));
        self.progress.all_have(positions.min().unwrap_or(Position::ZERO));
        let before = self.view.borrow().clone();
        let place = place(&seen, before.place.as_ref());
        let Seen { lead, sources, waiting, sent } = seen;
        let replicated = |seen: SeenSource| Replicated {
            failure: seen.failing_since.and_then(|_| self.failures.get(&seen.name).cloned()),
            lag: seen.head.as_ref().map(|head| self.progress.behind(head.tail.position, now)),
            seen,
        };
        let view = View {
            number: before.number,
            primary: lead.map(|lead| (lead.primary, lead.term)),
            place,
            sources: sources.into_iter().map(replicated).collect(),
            waiting,
            sent,
            is_draining: self.is_draining,
        };
        if view == *before {
            return;
        }
        let view = View { number: before.number + 1, ..view };
        if let Some(place) = view.place.as_ref().filter(|place| before.place.as_ref() != Some(*place)) {
            self.heads.feed(place.shown(view.number));
        }
        self.view.send_replace(Arc::new(view));
    }
}

/// What may be read. What a majority holds stays readable, whatever becomes of the primary; at lower levels only what the
/// primary of the newest term holds is.
fn place(seen: &Seen, before: Option<&Place>) -> Option<Place> {
    let Some(lead) = &seen.lead else { return before.cloned() };
    let config = &lead.config.config;
    let is_lossy = config.is_lossy();
    let cap = if is_lossy { lead.acked } else { lead.committed };
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
    Some(Place { head, cap, is_lossy, holders, term: lead.term })
}

fn position_of(head: Option<&polylog_log::Head>) -> Position {
    head.map_or(Position::ZERO, |head| head.tail.position)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
