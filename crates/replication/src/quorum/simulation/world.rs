//! Sources, processes, clients and a network that loses, delays and repeats, under a clock of its own.

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::{Duration, Instant},
};

use polylog_log::{Config, DatabaseId, Identity, Incarnation, LogId, Member, SourceName};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    clients::Clients,
    plan::{Fault, Plan},
    promises::{Kept, Promises},
    readers::View,
    routed::is_stripped,
    source::SimSource,
};
use crate::{
    QueueBounds,
    quorum::{Answer, Peer, PeerOptions, Request, Rules},
};

pub(super) const LOG: LogId = LogId::from_bytes([1; 16]);

#[derive(Debug)]
pub(super) enum Happening {
    Execute {
        peer: usize,
        life: u64,
        request: Request,
        answers: bool,
    },
    Answer {
        peer: usize,
        life: u64,
        id: u64,
        answer: Answer,
    },
    Wake(usize),
    Client(usize),
    Fault,
    /// A source that was restored is adopted again.
    Adopt(SourceName),
    /// Whether all is well.
    Look,
}

/// Something at its time; ties in the order in which they were planned.
struct At(Instant, u64, Happening);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.0, other.1).cmp(&(self.0, self.1))
    }
}

/// What a script lets pass.
pub(super) type Gate = Box<dyn Fn(usize, &Request) -> bool>;

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) random: StdRng,
    pub(super) began: Instant,
    pub(super) now: Instant,
    number: u64,
    queue: BinaryHeap<At>,
    pub(super) sources: BTreeMap<SourceName, SimSource>,
    pub(super) down: BTreeSet<SourceName>,
    /// Sources that answer and take no writes.
    pub(super) read_only: BTreeSet<SourceName>,
    /// Sources whose disk is slow.
    pub(super) slow: BTreeSet<SourceName>,
    /// (process, source) pairs between which nothing passes.
    pub(super) cut: BTreeSet<(usize, SourceName)>,
    pub(super) backups: BTreeMap<SourceName, SimSource>,
    /// Sources that were restored and not adopted again yet: they count for nothing, and are promised nothing.
    pub(super) outside: BTreeSet<SourceName>,
    pub(super) peers: Vec<Peer<u64>>,
    pub(super) lives: Vec<u64>,
    /// What each process would read where the primary is away.
    pub(super) views: Vec<View>,
    pub(super) clients: Clients,
    pub(super) promises: Promises,
    /// What the operator wants.
    pub(super) wanted: Option<Config>,
    pub(super) wanted_primary: Option<SourceName>,
    /// In a script, nothing else happens.
    pub(super) gate: Option<Gate>,
    pub(super) identities: u8,
    pub(super) terms: BTreeSet<u64>,
    pub(super) steps: u64,
    says: bool,
    pub(super) said: Vec<String>,
    is_over: bool,
}

pub(super) fn name(index: usize) -> SourceName {
    SourceName::parse(&format!("s{index}")).expect("a good name")
}

pub(super) fn identity(number: u8) -> Identity {
    Identity {
        log: LOG,
        database: DatabaseId::from_bytes([number; 16]),
        incarnation: Incarnation::from_bytes([number; 16]),
    }
}

pub(super) fn member(name: SourceName, identity: &Identity) -> Member {
    Member { name, database: identity.database, incarnation: identity.incarnation }
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan, says: bool) -> Self {
        let identities = plan.sources() as u8;
        let members = |range: std::ops::Range<usize>| {
            range.map(|index| member(name(index), &identity(index as u8 + 1))).collect::<Vec<_>>()
        };
        let voters = members(0..plan.voters);
        let mut config = Config::implicit(voters[0].clone());
        config.order = voters.iter().map(|member| member.name.clone()).collect();
        config.voters = voters;
        config.learners = members(plan.voters..plan.voters + plan.learners);
        plan.configure(&mut config);
        let source = |index: usize| {
            let identity = identity(index as u8 + 1);
            (name(index), SimSource::new(identity, config.clone(), plan.page, plan.sources_without))
        };
        let began = Instant::now();
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            began,
            now: began,
            number: 0,
            queue: BinaryHeap::new(),
            sources: (0..plan.sources()).map(source).collect(),
            down: BTreeSet::new(),
            read_only: BTreeSet::new(),
            slow: BTreeSet::new(),
            cut: BTreeSet::new(),
            backups: BTreeMap::new(),
            outside: BTreeSet::new(),
            peers: Vec::new(),
            lives: vec![0; plan.peers],
            views: vec![View::new(); plan.peers],
            clients: Clients::new(plan.clients),
            promises: Promises::default(),
            wanted: (plan.spare > 0).then_some(config),
            wanted_primary: None,
            gate: None,
            identities,
            terms: BTreeSet::new(),
            steps: 0,
            says,
            said: Vec::new(),
            is_over: false,
            plan,
        };
        for peer in 0..world.plan.peers {
            let fresh = world.fresh_peer(peer);
            world.peers.push(fresh);
            world.after(Duration::ZERO, Happening::Wake(peer));
        }
        world
    }

    pub(super) fn fresh_peer(&self, index: usize) -> Peer<u64> {
        let options = PeerOptions {
            log: LOG,
            has_duties: index + 1 < self.plan.peers || self.plan.peers == 1,
            failover_after: self.plan.failover_after,
            queue: QueueBounds::default(),
            // the empty logs here name all voters
            is_begun: false,
            rules: Rules { off: self.plan.off },
        };
        let sources = self.sources.iter().map(|(name, source)| (name.clone(), source.head.identity));
        let mut peer = Peer::new(options, sources);
        peer.open_minority(self.plan.opens_minority);
        peer.want_config(self.wanted.clone());
        peer.want_primary(self.wanted_primary.clone());
        peer
    }

    pub(super) fn after(&mut self, delay: Duration, happening: Happening) {
        self.number += 1;
        self.queue.push(At(self.now + delay, self.number, happening));
    }

    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        if self.says {
            let line = format!("{:>9.3} ms  {}", (self.now - self.began).as_secs_f64() * 1e3, what());
            self.said.push(line);
        }
    }

    pub(super) fn chance(&mut self, of: f64) -> bool {
        self.random.random_bool(of)
    }

    pub(super) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }

    pub(super) fn is_stormy(&self) -> bool {
        self.gate.is_none() && self.now - self.began < self.plan.stormy
    }

    /// Runs to the end; an error says what broke.
    pub(super) fn run(&mut self) -> Kept {
        for client in 0..self.plan.clients {
            self.after(Duration::from_millis(10), Happening::Client(client));
        }
        self.after(Duration::from_millis(100), Happening::Fault);
        self.after(self.plan.stormy, Happening::Look);
        while !self.is_over {
            self.step()?;
        }
        let members = self.members();
        self.promises.at_end(&self.plan, &self.sources, &members)
    }

    /// The next thing that happens.
    pub(super) fn step(&mut self) -> Kept {
        let At(at, _, happening) = self.queue.pop().ok_or("nothing happens any more")?;
        self.now = at;
        self.steps += 1;
        match happening {
            Happening::Execute { peer, life, request, answers } => {
                self.execute(peer, life, request, answers)?
            }
            Happening::Answer { peer, life, id, answer } => {
                if self.lives[peer] == life {
                    let random = self.random.random();
                    self.peers[peer].answer(self.now, id, answer, random);
                    self.work(peer)?;
                }
            }
            Happening::Wake(peer) => {
                self.read_behind(peer)?;
                self.work(peer)?;
                let wakes_at = self.peers[peer].wakes_at(self.now);
                let delay = wakes_at.saturating_duration_since(self.now);
                self.after(delay, Happening::Wake(peer));
            }
            Happening::Client(client) => self.client(client),
            Happening::Fault => self.fault(),
            Happening::Adopt(source) => self.adopt(&source),
            Happening::Look => self.look()?,
        }
        Ok(())
    }

    pub(super) fn work(&mut self, peer: usize) -> Kept {
        let requests = self.peers[peer].poll(self.now, self.random.random());
        for request in requests {
            self.send(peer, request);
        }
        for (number, outcome) in self.peers[peer].take_outcomes() {
            self.outcome(number, peer, outcome)?;
        }
        for (read, proof) in self.peers[peer].take_proofs() {
            self.proof(read, proof)?;
        }
        if let Some(term) = self.peers[peer].term() {
            self.terms.insert(term.get());
        }
        Ok(())
    }

    /// The source that leads the latest term.
    pub(super) fn primary(&self) -> Option<(&SourceName, &SimSource)> {
        let trusted = self.sources.iter().filter(|(name, _)| !self.outside.contains(*name));
        let primaries = trusted.filter(|(_, source)| source.head.is_primary());
        primaries.max_by_key(|(_, source)| source.head.term)
    }

    /// Voters and learners of the log in force.
    pub(super) fn members(&self) -> BTreeSet<SourceName> {
        let Some((_, primary)) = self.primary() else { return BTreeSet::new() };
        let config = &primary.head.config.config;
        config.voters.iter().chain(&config.learners).map(|member| member.name.clone()).collect()
    }

    /// After the storm: everything is well within a bounded time.
    fn look(&mut self) -> Kept {
        if self.clients.may_begin && self.clients.all_served() {
            // nothing new: now all must become level
            self.clients.may_begin = false;
        }
        if !self.clients.may_begin && self.clients.is_quiet() && self.is_level() {
            self.is_over = true;
            return Ok(());
        }
        let end = self.began + self.plan.stormy + self.plan.calm;
        if self.now >= end {
            let states = self.sources.iter().map(|(name, source)| {
                let head = &source.head;
                let (term, lead, tail) = (head.term, head.lead, head.tail.position);
                format!("{name}: term {term} lead {lead} tail {tail} stable {}", head.watermarks.stable)
            });
            let states = states.collect::<Vec<_>>().join("; ");
            return Err(format!("not well in time: {}; {states}", self.clients.state()));
        }
        self.after(Duration::from_millis(25), Happening::Look);
        Ok(())
    }

    fn is_level(&self) -> bool {
        let Some((_, primary)) = self.primary() else { return false };
        let head = &primary.head;
        let config = &head.config.config;
        let has_it = |name: &SourceName, source: &SimSource| {
            let of = &source.head;
            let settled = of.watermarks.stable == of.tail.position || !self.plan.is_lossless();
            let counts = config.voters.iter().any(|voter| voter.name == *name);
            let dropped = !self.plan.is_routed || is_stripped(name, source);
            of.tail == head.tail && settled && dropped && (of.term == head.term || !counts)
        };
        let members = self.members();
        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| {
            let names =
                |members: &[Member]| members.iter().map(|one| one.incarnation).collect::<BTreeSet<_>>();
            names(&wanted.voters) == names(&config.voters)
        });
        let all = self.sources.iter().filter(|(name, _)| members.contains(*name));
        is_wanted && all.into_iter().all(|(name, source)| has_it(name, source))
    }

    pub(super) fn fault_kinds(&self) -> &[(Fault, u32)] {
        &self.plan.faults
    }
}
