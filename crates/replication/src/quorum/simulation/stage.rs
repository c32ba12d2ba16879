//! A world in which nothing fails but what a script says: it lets requests pass or not, and waits for what must follow.

use std::time::Duration;

use polylog_log::{Commit, Expected, Member, SourceName, StreamName};

use super::{
    plan::Plan,
    world::{World, member, name},
};
use crate::quorum::{Operation, Request, Rule};

/// How a script ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// A promise was broken.
    Broken(String),
    /// What the script waited for did not come: a rule stood against it.
    Stuck(&'static str),
}

/// The longest that a script waits for one thing.
const PATIENCE: Duration = Duration::from_secs(6);

pub(super) struct Stage {
    pub(super) world: World,
}

/// How far a script came, or why it ended.
pub(super) type Played = Result<(), Stop>;

impl Stage {
    /// Nothing passes yet.
    pub(super) fn new(plan: Plan) -> Self {
        let mut world =
            World::new(1, Plan { failover_after: Duration::from_millis(200), clients: 8, ..plan }, true);
        world.gate = Some(Box::new(|_, _| false));
        Self { world }
    }

    /// From now on these requests pass: by process and source, and by what they are.
    pub(super) fn pass(&mut self, passes: impl Fn(usize, usize, &Operation) -> bool + 'static) {
        let index = |source: &SourceName| source.as_str()[1..].parse().expect("s and a number");
        self.world.gate = Some(Box::new(move |peer, request: &Request| {
            // who may be looked at may be asked what it keeps of the others
            let operation = match &request.operation {
                Operation::Lease(_) => &Operation::Head,
                operation => operation,
            };
            passes(peer, index(&request.source), operation)
        }));
        self.world.say(|| "---- other lines".into());
    }

    /// Only these lines pass.
    pub(super) fn lines(&mut self, lines: &'static [(usize, usize)]) {
        self.pass(move |peer, source, _| lines.contains(&(peer, source)));
    }

    pub(super) fn until(&mut self, what: &'static str, is_so: impl Fn(&World) -> bool) -> Played {
        let end = self.world.now + PATIENCE;
        self.world.say(|| format!("---- until {what}"));
        while !is_so(&self.world) {
            if self.world.now > end {
                return Err(Stop::Stuck(what));
            }
            self.world.step().map_err(Stop::Broken)?;
        }
        Ok(())
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, millis: u64) -> Played {
        let end = self.world.now + Duration::from_millis(millis);
        self.until("time passed", move |world| world.now >= end)
    }

    /// Begins an append by a process; the number is that of the client.
    pub(super) fn append(&mut self, peer: usize, client: usize) -> Played {
        let stream = StreamName::recorded("a-1");
        let commit = self.world.commit_of(stream, Expected::Any, 1);
        self.append_again(peer, client, commit)
    }

    pub(super) fn append_again(&mut self, peer: usize, client: usize, commit: Commit) -> Played {
        self.world.clients.told.remove(&client);
        let deadline = self.world.now + Duration::from_secs(60);
        self.world.clients.begin(client, peer, commit.clone());
        self.world.say(|| format!("c{client} appends {:?} by p{peer}", commit.id));
        self.world.peers[peer].append(commit, None, deadline, client as u64);
        self.world.work(peer).map_err(Stop::Broken)
    }

    /// All is open and level under the first source.
    pub(super) fn open(&mut self) -> Played {
        // by the first process, so that the first term is the first
        self.pass(|peer, _, operation| peer == 0 || !matches!(operation, Operation::Promise(..)));
        self.until("all are level", |world| {
            let tail = world.sources[&name(0)].head.tail;
            let leads = world.sources[&name(0)].head.is_primary();
            let level = world.plan.voters;
            leads
                && (0..level).all(|index| world.sources[&name(index)].head.tail == tail)
                && world.peers.iter().all(|peer| peer.term().is_some())
        })
    }
}

impl World {
    pub(super) fn tail_of(&self, index: usize) -> u64 {
        self.sources[&name(index)].head.tail.position.get()
    }

    /// How many voters the source counts.
    pub(super) fn voters_at(&self, index: usize) -> usize {
        self.sources[&name(index)].head.config.config.voters.len()
    }

    pub(super) fn learners_at(&self, index: usize) -> usize {
        self.sources[&name(index)].head.config.config.learners.len()
    }

    pub(super) fn has_voter(&self, index: usize, voter: usize) -> bool {
        let config = &self.sources[&name(index)].head.config.config;
        config.voters.iter().any(|member| member.name == name(voter))
    }

    /// Whether the source knows that a majority holds all that it holds.
    pub(super) fn is_settled(&self, index: usize) -> bool {
        let head = &self.sources[&name(index)].head;
        head.watermarks.stable == head.tail.position
    }

    pub(super) fn member_of(&self, index: usize) -> Member {
        member(name(index), &self.sources[&name(index)].head.identity)
    }

    pub(super) fn term_of(&self, index: usize) -> u64 {
        self.sources[&name(index)].head.term.get()
    }

    pub(super) fn leads(&self, index: usize, term: u64) -> bool {
        let head = &self.sources[&name(index)].head;
        head.is_primary() && head.term.get() >= term
    }

    pub(super) fn is_told(&self, client: usize) -> bool {
        self.clients.told.contains_key(&client)
    }
}

/// Whether a request writes entries: nothing of it may pass in places.
pub(super) fn copies(operation: &Operation) -> bool {
    matches!(operation, Operation::Apply(apply) if !apply.entries.is_empty())
}

/// A plan of three voters in pages of one entry, with a rule off.
pub(super) fn three(off: Option<Rule>) -> Plan {
    Plan { page: 1, off, ..Plan::majority() }
}
