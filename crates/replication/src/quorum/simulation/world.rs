//! Sources, processes, clients and a network that loses, delays and repeats, under a clock of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use polylog_log::{
    Acks, Commit, CommitReceipt, Config, DatabaseId, EventId, EventType, Expected, Failover, Identity,
    Incarnation, LogId, Member, NewEvent, OperationError, Point, Position, SourceName, StreamAppend,
    StreamName, Verdict, Version,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::source::SimSource;
use crate::{
    AppendError, QueueBounds,
    quorum::{Answer, Operation, Peer, PeerOptions, Request, Rule, Rules, peer::lost},
};

pub(super) const LOG: LogId = LogId::from_bytes([1; 16]);
/// What a run is made of.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) sources: usize,
    pub(super) peers: usize,
    pub(super) clients: usize,
    pub(super) acks: Acks,
    /// Time with faults; what follows is without.
    pub(super) stormy: Duration,
    pub(super) calm: Duration,
    /// Longest time between two faults, in ms.
    pub(super) fault_every: u64,
    pub(super) failover_after: Duration,
    /// When a process stops waiting for an answer.
    pub(super) timeout: Duration,
    /// How long a request may wander before it is executed, in ms.
    pub(super) wander: u64,
    /// A rule that is switched off.
    pub(super) off: Option<Rule>,
    pub(super) sources_without: polylog_log::Rules,
}

impl Plan {
    pub(super) fn majority() -> Self {
        Self {
            sources: 3,
            peers: 2,
            clients: 4,
            acks: Acks::Majority,
            stormy: Duration::from_secs(20),
            calm: Duration::from_secs(15),
            fault_every: 3_000,
            failover_after: Duration::from_millis(600),
            timeout: Duration::from_millis(400),
            wander: 6_000,
            off: None,
            sources_without: polylog_log::Rules::ALL,
        }
    }

    /// Everything fails all the time.
    pub(super) fn fierce() -> Self {
        Self {
            peers: 3,
            fault_every: 250,
            failover_after: Duration::from_millis(80),
            timeout: Duration::from_millis(60),
            wander: 1_500,
            stormy: Duration::from_secs(12),
            calm: Duration::from_secs(8),
            ..Self::majority()
        }
    }
}

#[derive(Debug)]
enum Happening {
    Execute { peer: usize, life: u64, request: Request, answers: bool },
    Answer { peer: usize, life: u64, id: u64, answer: Answer },
    Wake(usize),
    Client(usize),
    Fault,
}

/// What a client waits for.
#[derive(Debug, Clone)]
struct Pending {
    commit: Commit,
    peer: usize,
    tries: usize,
}

pub(super) struct World {
    plan: Plan,
    random: StdRng,
    began: Instant,
    now: Instant,
    number: u64,
    queue: BTreeMap<(Instant, u64), Happening>,
    pub(super) sources: BTreeMap<SourceName, SimSource>,
    down: BTreeSet<SourceName>,
    /// (process, source) pairs between which nothing passes.
    cut: BTreeSet<(usize, SourceName)>,
    peers: Vec<Peer<u64>>,
    lives: Vec<u64>,
    clients: Vec<Option<Pending>>,
    /// By the client's number; reads have numbers from 1000 on.
    reads: BTreeMap<u64, Position>,
    next_event: u128,
    pub(super) acked: BTreeMap<Position, CommitReceipt>,
    highest_acked: Position,
    pub(super) proofs: usize,
    pub(super) terms: BTreeSet<u64>,
    pub(super) said: Vec<String>,
}

pub(super) fn name(index: usize) -> SourceName {
    SourceName::parse(&format!("s{index}")).expect("a good name")
}

fn identity(index: usize) -> Identity {
    Identity {
        log: LOG,
        database: DatabaseId::from_bytes([index as u8 + 1; 16]),
        incarnation: Incarnation::from_bytes([index as u8 + 1; 16]),
    }
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        let members: Vec<Member> = (0..plan.sources)
            .map(|index| {
                let Identity { database, incarnation, .. } = identity(index);
                Member { name: name(index), database, incarnation }
            })
            .collect();
        let mut config = Config::implicit(members[0].clone());
        config.order = members.iter().map(|member| member.name.clone()).collect();
        config.in_sync = if plan.acks == Acks::All { config.order.clone() } else { Vec::new() };
        (config.voters, config.acks, config.failover) = (members, plan.acks, Failover::Automatic);
        let sources = (0..plan.sources).map(|index| (name(index), SimSource::new(identity(index), config.clone(), plan.sources_without)));
        let began = Instant::now();
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            began,
            now: began,
            number: 0,
            queue: BTreeMap::new(),
            sources: sources.collect(),
            down: BTreeSet::new(),
            cut: BTreeSet::new(),
            peers: Vec::new(),
            lives: vec![0; plan.peers],
            clients: vec![None; plan.clients],
            reads: BTreeMap::new(),
            next_event: 1,
            acked: BTreeMap::new(),
            highest_acked: Position::ZERO,
            proofs: 0,
            terms: BTreeSet::new(),
            said: Vec::new(),
            plan,
        };
        for peer in 0..world.plan.peers {
            let fresh = world.fresh_peer(peer);
            world.peers.push(fresh);
            world.after(Duration::ZERO, Happening::Wake(peer));
        }
        for client in 0..world.plan.clients {
            world.after(Duration::from_millis(10), Happening::Client(client));
        }
        world.after(Duration::from_millis(700), Happening::Fault);
        world
    }

    fn fresh_peer(&self, index: usize) -> Peer<u64> {
        let options = PeerOptions {
            log: LOG,
            // the last one is a sidecar
            has_duties: index + 1 < self.plan.peers || self.plan.peers == 1,
            failover_after: self.plan.failover_after,
            queue: QueueBounds::default(),
            // the empty logs here name all voters
            is_begun: false,
            rules: Rules { off: self.plan.off },
        };
        Peer::new(options, (0..self.plan.sources).map(|index| (name(index), identity(index))))
    }

    fn after(&mut self, delay: Duration, happening: Happening) {
        self.number += 1;
        self.queue.insert((self.now + delay, self.number), happening);
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        if std::env::var_os("POLYLOG_SIMULATION_SAYS").is_some() {
            let line = format!("{:>9.3} ms  {}", (self.now - self.began).as_secs_f64() * 1e3, what());
            self.said.push(line);
        }
    }

    fn is_stormy(&self) -> bool {
        self.now - self.began < self.plan.stormy
    }

    /// Runs to the end; an error says what broke.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let end = self.began + self.plan.stormy + self.plan.calm;
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            if at > end {
                break;
            }
            self.now = at;
            self.step(happening)?;
        }
        self.check_end()
    }

    fn step(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Execute { peer, life, request, answers } => self.execute(peer, life, request, answers)?,
            Happening::Answer { peer, life, id, answer } => {
                if self.lives[peer] == life {
                    let random = self.random.random();
                    self.peers[peer].answer(self.now, id, answer, random);
                    self.work(peer)?;
                }
            }
            Happening::Wake(peer) => {
                self.work(peer)?;
                let wakes_at = self.peers[peer].wakes_at(self.now);
                let delay = wakes_at.saturating_duration_since(self.now);
                self.after(delay, Happening::Wake(peer));
            }
            Happening::Client(client) => {
                self.client(client);
            }
            Happening::Fault => self.fault(),
        }
        Ok(())
    }

    fn work(&mut self, peer: usize) -> Result<(), String> {
        let requests = self.peers[peer].poll(self.now, self.random.random());
        for request in requests {
            self.send(peer, request);
        }
        let outcomes = self.peers[peer].take_outcomes();
        for (client, outcome) in outcomes {
            self.outcome(client as usize, peer, outcome)?;
        }
        for (read, proof) in self.peers[peer].take_proofs() {
            self.proof(read, proof)?;
        }
        if let Some(term) = self.peers[peer].term() {
            self.terms.insert(term.get());
        }
        Ok(())
    }

    fn send(&mut self, peer: usize, request: Request) {
        let life = self.lives[peer];
        let id = request.id;
        self.say(|| format!("p{peer} -> {}: #{id} {:?}", request.source, brief(&request.operation)));
        let is_cut = self.cut.contains(&(peer, request.source.clone())) || self.down.contains(&request.source);
        let (lost_before, lost_after, late, twice) = if self.is_stormy() {
            (self.chance(0.02), self.chance(0.02), self.chance(0.02), self.chance(0.01))
        } else {
            (false, false, false, false)
        };
        let unanswered = lost(&request.operation);
        self.after(self.plan.timeout, Happening::Answer { peer, life, id, answer: unanswered });
        if is_cut || lost_before {
            return;
        }
        let mut delay = self.delay();
        if late {
            delay += Duration::from_millis(self.random.random_range(0..self.plan.wander));
        }
        if twice {
            let again = delay + Duration::from_millis(self.random.random_range(0..self.plan.wander));
            self.after(again, Happening::Execute { peer, life, request: request.clone(), answers: false });
        }
        self.after(delay, Happening::Execute { peer, life, request, answers: !lost_after });
    }

    fn chance(&mut self, of: f64) -> bool {
        self.random.random_bool(of)
    }

    fn delay(&mut self) -> Duration {
        let slow = self.is_stormy() && self.chance(0.05);
        Duration::from_micros(self.random.random_range(100..if slow { 80_000 } else { 2_000 }))
    }

    fn execute(&mut self, peer: usize, life: u64, request: Request, answers: bool) -> Result<(), String> {
        let Some(source) = self.sources.get_mut(&request.source) else { return Ok(()) };
        let id = request.id;
        if self.down.contains(&request.source) {
            let failed = match &request.operation {
                Operation::Head => Answer::Head(Err(SimSource::down())),
                Operation::ReadLog(_) => Answer::Page(Err(SimSource::down())),
                Operation::Append(_) => Answer::Appended(Err(OperationError::Failed(SimSource::down()))),
                _ => Answer::Changed(Err(OperationError::Failed(SimSource::down()))),
            };
            self.after(Duration::from_micros(200), Happening::Answer { peer, life, id, answer: failed });
            return Ok(());
        }
        let stable = source.head.watermarks.stable;
        let removed = source.removed.len();
        let answer = source.execute(&request);
        let fell = source.head.watermarks.stable < stable;
        let cut: Vec<Position> = source.removed[removed..].iter().map(|entry| entry.last()).collect();
        let kept = cut.iter().find(|position| {
            let entry = source.removed[removed..].iter().find(|entry| entry.last() == **position);
            self.acked.get(position).zip(entry).is_some_and(|(receipt, entry)| receipt.chain == entry.chain)
        });
        if let Some(position) = kept.filter(|_| self.plan.acks != Acks::Count(1)) {
            return Err(format!("{}: an acknowledged commit at {position} was truncated", request.source));
        }
        if fell {
            return Err(format!("{}: the watermark fell from {stable}", request.source));
        }
        let head = &source.head;
        let state = format!("term {} lead {} tail {}/{}", head.term, head.lead, head.tail.position, head.tail.term);
        self.say(|| format!("     {}: #{id} of p{peer}: {:?}; {state}", request.source, outcome_of(&answer)));
        if answers && !self.cut.contains(&(peer, request.source.clone())) {
            let delay = self.delay();
            self.after(delay, Happening::Answer { peer, life, id, answer });
        }
        Ok(())
    }

    fn client(&mut self, client: usize) {
        let deadline = self.now + Duration::from_millis(self.random.random_range(200..4_000));
        if self.clients[client].is_none() && self.chance(0.15) {
            let read = 1_000 + client as u64 + (self.number << 16);
            self.reads.insert(read, self.highest_acked);
            let peer = self.random.random_range(0..self.peers.len());
            self.peers[peer].prove_tail(deadline, read);
            self.after(Duration::from_millis(30), Happening::Client(client));
            return;
        }
        let pending = match self.clients[client].take() {
            Some(pending) => Pending { peer: self.random.random_range(0..self.peers.len()), tries: pending.tries + 1, ..pending },
            None => {
                let commit = self.commit();
                Pending { commit, peer: self.random.random_range(0..self.peers.len()), tries: 1 }
            }
        };
        let commit = pending.commit.clone();
        self.say(|| format!("c{client} appends {:?} by p{}", commit.id, pending.peer));
        self.peers[pending.peer].append(commit, None, deadline, client as u64);
        self.clients[client] = Some(pending);
    }

    fn commit(&mut self) -> Commit {
        let stream = StreamName::recorded(&format!("a-{}", self.random.random_range(0..4)));
        let expected = match self.random.random_range(0..4) {
            0 => Expected::Version(Version::new(self.random.random_range(0..20))),
            1 => Expected::Exists,
            _ => Expected::Any,
        };
        let count = self.random.random_range(1..4);
        let events = (0..count).map(|_| {
            self.next_event += 1;
            NewEvent::json(EventId::new(Uuid::from_u128(self.next_event)), EventType::recorded("T"), "{}")
        });
        let events = events.collect();
        Commit::new(LOG, vec![StreamAppend::new(stream, expected, events)])
    }

    fn outcome(&mut self, client: usize, peer: usize, outcome: Result<Verdict, AppendError>) -> Result<(), String> {
        self.say(|| format!("c{client} is told by p{peer}: {outcome:?}"));
        let again = Duration::from_millis(self.random.random_range(1..60));
        let Some(pending) = self.clients[client].clone() else { return Ok(()) };
        match outcome {
            Ok(Verdict::Committed(receipt) | Verdict::Duplicate(receipt)) => {
                self.acknowledge(receipt)?;
                self.clients[client] = None;
            }
            Ok(_) => self.clients[client] = None,
            Err(_) if pending.tries > 6 => self.clients[client] = None,
            Err(_) => {}
        }
        self.after(again, Happening::Client(client));
        Ok(())
    }

    fn acknowledge(&mut self, receipt: CommitReceipt) -> Result<(), String> {
        self.highest_acked = self.highest_acked.max(receipt.last);
        match self.acked.get(&receipt.last) {
            Some(before) if *before != receipt => {
                return Err(format!("two answers for position {}: {before:?} and {receipt:?}", receipt.last));
            }
            _ => {}
        }
        self.acked.insert(receipt.last, receipt);
        Ok(())
    }

    fn proof(&mut self, read: u64, proof: Option<Point>) -> Result<(), String> {
        let Some(acked) = self.reads.remove(&read) else { return Ok(()) };
        let Some(point) = proof else { return Ok(()) };
        self.proofs += 1;
        if point.position < acked {
            return Err(format!("a strong read up to {} misses what was acknowledged at {acked}", point.position));
        }
        Ok(())
    }

    fn fault(&mut self) {
        if !self.is_stormy() {
            self.down.clear();
            self.cut.clear();
            return;
        }
        let mut source = name(self.random.random_range(0..self.plan.sources));
        if self.chance(0.4)
            && let Some((primary, _)) = self
                .sources
                .iter()
                .filter(|(_, source)| source.head.is_primary())
                .max_by_key(|(_, source)| source.head.term)
        {
            source = primary.clone();
        }
        let peer = self.random.random_range(0..self.plan.peers);
        match self.random.random_range(0..10) {
            0..3 => {
                self.say(|| format!("---- {source} goes down"));
                self.down.insert(source);
            }
            3..6 => {
                self.say(|| "---- all sources are up".into());
                self.down.clear();
            }
            6 => {
                self.say(|| format!("---- p{peer} is cut off from {source}"));
                self.cut.insert((peer, source));
            }
            7 => {
                self.say(|| "---- all lines work".into());
                self.cut.clear();
            }
            _ => {
                self.say(|| format!("---- p{peer} dies and starts again"));
                self.lives[peer] += 1;
                self.peers[peer] = self.fresh_peer(peer);
                for client in 0..self.clients.len() {
                    if self.clients[client].as_ref().is_some_and(|pending| pending.peer == peer) {
                        self.after(Duration::from_millis(50), Happening::Client(client));
                    }
                }
            }
        }
        let next = Duration::from_millis(self.random.random_range(self.plan.fault_every / 20..self.plan.fault_every));
        let left = (self.began + self.plan.stormy).saturating_duration_since(self.now);
        self.after(next.min(left + Duration::from_millis(1)), Happening::Fault);
    }

    fn check_end(&mut self) -> Result<(), String> {
        let tails: BTreeSet<Position> = self.sources.values().map(|source| source.head.tail.position).collect();
        let best = self.sources.values().max_by_key(|source| (source.head.tail.term, source.head.tail.position));
        let best = best.ok_or("no sources")?;
        for (position, receipt) in &self.acked {
            let entry = best.entries.iter().find(|entry| entry.last() == *position);
            if self.plan.acks != Acks::Count(1) && entry.map(CommitReceipt::of).as_ref() != Some(receipt) {
                return Err(format!("the acknowledged commit at {position} is not in the log"));
            }
        }
        let highest = best.head.tail.position.get();
        let lowest = tails.first().map_or(0, |tail| tail.get());
        if highest - lowest > 60 {
            return Err(format!("sources are not level at the end: {tails:?}"));
        }
        for (name, source) in &self.sources {
            let shared = source.entries.iter().zip(&best.entries).all(|(one, other)| one == other);
            if !shared {
                return Err(format!("{name} holds another log at the end"));
            }
        }
        let late = self.acked.keys().next_back().map_or(0, |position| position.get());
        if late + 60 < highest || self.acked.len() < 20 {
            return Err(format!("nothing is acknowledged at the end: {late} of {highest}, {} in all", self.acked.len()));
        }
        Ok(())
    }
}

fn brief(operation: &Operation) -> String {
    match operation {
        Operation::Append(append) => format!("append {} under {}", append.batch.len(), append.term),
        Operation::Apply(apply) => {
            format!("apply {} after {} under {}", apply.entries.len(), apply.previous.position, apply.term)
        }
        Operation::Head => "head".into(),
        Operation::Promise(term, _) => format!("promise {term}"),
        Operation::Open(open) => format!("open {} at {}", open.term, open.tail.position),
        Operation::Truncate(truncate) => {
            format!("truncate {} to {} under {}", truncate.tail.position, truncate.keep.position, truncate.term)
        }
        Operation::ReadLog(read) => format!("read {} to {}", read.from, read.to),
    }
}

fn outcome_of(answer: &Answer) -> String {
    match answer {
        Answer::Head(_) => "head".into(),
        Answer::Page(Ok(page)) => format!("{} entries", page.entries.len()),
        Answer::Changed(Ok(_)) => "done".into(),
        Answer::Appended(Ok(appended)) => format!("{} verdicts", appended.verdicts.len()),
        Answer::Changed(Err(error)) | Answer::Appended(Err(error)) => error.to_string(),
        Answer::Page(Err(failure)) => failure.to_string(),
    }
}
