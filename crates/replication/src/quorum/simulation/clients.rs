//! Applications: they append, try again with the same ids where nobody knows, and read strongly.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use polylog_log::{
    Commit, CommitId, EventId, EventType, Expected, NewEvent, Point, Position, ROUTE, StreamAppend,
    StreamName, Verdict, Version,
};
use rand::Rng;
use uuid::Uuid;

use super::{
    promises::Kept,
    world::{Happening, LOG, World, name},
};
use crate::AppendError;

/// Reads have numbers from here on, tries of clients below.
const READS: u64 = 1 << 48;
/// A try's number is its client's, plus this often the number of its turn.
const CLIENTS: u64 = 256;

/// What a client waits for.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) commit: Commit,
    pub(super) peer: usize,
    tries: usize,
    /// The number of the last try; those of scripts are their clients'.
    number: u64,
    /// It was told what became of every try so far.
    is_answered: bool,
    /// Of every try it was told that nothing was written.
    wrote_nothing: bool,
}

impl Pending {
    fn new(commit: Commit, peer: usize) -> Self {
        Self { commit, peer, tries: 1, number: 0, is_answered: false, wrote_nothing: true }
    }
}

#[derive(Debug)]
pub(super) struct Clients {
    pub(super) pending: Vec<Option<Pending>>,
    turns: u64,
    /// Tries that were not answered yet.
    sent: BTreeMap<u64, CommitId>,
    /// What was acknowledged when the read began.
    reads: BTreeMap<u64, Position>,
    next_event: u128,
    pub(super) may_begin: bool,
    /// Since the storm, each client was told once that its commit is kept.
    served: Vec<bool>,
    pub(super) proofs: usize,
    /// What the last outcome was, for scripts.
    pub(super) told: BTreeMap<usize, Result<Verdict, AppendError>>,
    pub(super) proven: Vec<Option<Point>>,
}

impl Clients {
    pub(super) fn new(count: usize) -> Self {
        Self {
            pending: vec![None; count],
            turns: 0,
            sent: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_event: 1,
            may_begin: true,
            served: vec![false; count],
            proofs: 0,
            told: BTreeMap::new(),
            proven: Vec::new(),
        }
    }

    /// A script's client waits for its commit.
    pub(super) fn begin(&mut self, client: usize, peer: usize, commit: Commit) {
        self.pending[client] = Some(Pending::new(commit, peer));
    }

    pub(super) fn all_served(&self) -> bool {
        self.served.iter().all(|served| *served)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.pending.iter().all(Option::is_none)
    }

    pub(super) fn state(&self) -> String {
        format!("served {:?}, {} wait", self.served, self.pending.iter().flatten().count())
    }
}

impl World {
    pub(super) fn client(&mut self, client: usize) {
        let deadline = self.now + self.millis(200..2_000);
        let peer = self.random.random_range(0..self.peers.len());
        if self.clients.pending[client].is_none() {
            if !self.clients.may_begin {
                return;
            }
            if self.chance(0.15) {
                let read = self.begin_read(peer, deadline);
                self.say(|| format!("c{client} reads strongly by p{peer}: #{read}"));
                return self.after(Duration::from_millis(30), Happening::Client(client));
            }
        }
        let pending = match self.clients.pending[client].take() {
            Some(pending) => Pending {
                peer,
                tries: pending.tries + 1,
                is_answered: false,
                wrote_nothing: pending.wrote_nothing && pending.is_answered,
                ..pending
            },
            None => Pending::new(self.commit(), peer),
        };
        self.clients.turns += 1;
        let number = self.clients.turns * CLIENTS + client as u64;
        let pending = Pending { number, ..pending };
        let commit = pending.commit.clone();
        self.clients.sent.insert(number, commit.id);
        self.say(|| format!("c{client} appends {:?} by p{peer}", commit.id));
        self.clients.pending[client] = Some(pending);
        self.peers[peer].append(commit, None, deadline, number);
    }

    pub(super) fn begin_read(&mut self, peer: usize, deadline: std::time::Instant) -> u64 {
        let read = READS + self.clients.proofs as u64 + self.steps * 8 + self.clients.reads.len() as u64;
        self.clients.reads.insert(read, self.promises.highest_acked);
        self.peers[peer].prove_tail(deadline, read);
        read
    }

    /// A commit of one to three events.
    pub(super) fn commit(&mut self) -> Commit {
        let stream = StreamName::recorded(["a-0", "a-1", "a-2", "a-3"][self.random.random_range(0..4)]);
        let expected = match self.random.random_range(0..6) {
            0 => Expected::Version(Version::new(self.random.random_range(0..20))),
            1 => Expected::Exists,
            _ => Expected::Any,
        };
        let count = self.random.random_range(1..4);
        self.commit_of(stream, expected, count)
    }

    pub(super) fn commit_of(&mut self, stream: StreamName, expected: Expected, count: usize) -> Commit {
        let events = (0..count).map(|_| {
            self.clients.next_event += 1;
            let id = EventId::new(Uuid::from_u128(self.clients.next_event));
            NewEvent::json(id, EventType::recorded("T"), "{}")
        });
        let mut events: Vec<NewEvent> = events.collect();
        if self.plan.is_routed {
            events.iter_mut().for_each(|event| event.metadata = self.routed());
        }
        Commit::new(LOG, vec![StreamAppend::new(stream, expected, events)])
    }

    /// Metadata that names one of the voters, or none; a script's is always the same.
    fn routed(&mut self) -> Option<Bytes> {
        let keeper = match self.gate.is_some() {
            true => self.plan.voters - 1,
            false => self.random.random_range(0..self.plan.voters + 1),
        };
        (keeper < self.plan.voters).then(|| format!(r#"{{"{ROUTE}":"{}"}}"#, name(keeper)).into())
    }

    pub(super) fn outcome(
        &mut self,
        number: u64,
        peer: usize,
        outcome: Result<Verdict, AppendError>,
    ) -> Kept {
        let client = (number % CLIENTS) as usize;
        self.say(|| match &outcome {
            Ok(Verdict::Committed(receipt)) => {
                format!("c{client} is told by p{peer}: kept at {}", receipt.last)
            }
            Ok(Verdict::Duplicate(receipt)) => {
                format!("c{client} is told by p{peer}: kept before at {}", receipt.last)
            }
            other => format!("c{client} is told by p{peer}: {other:?}"),
        });
        let sent = self.clients.sent.remove(&number);
        let is_late = self.clients.pending[client].as_ref().is_none_or(|pending| pending.number != number);
        if let Some(commit) = sent.filter(|_| is_late) {
            // an earlier try, which the client did not wait for
            let Ok(Verdict::Committed(receipt) | Verdict::Duplicate(receipt)) = outcome else {
                return Ok(());
            };
            let under = self.peers[peer].term().unwrap_or(receipt.term);
            return self.promises.acknowledged(&self.plan, under, commit, receipt, &self.sources);
        }
        let Some(Some(pending)) = self.clients.pending.get_mut(client) else { return Ok(()) };
        pending.is_answered = true;
        pending.wrote_nothing &= says_nothing_was_written(&outcome);
        let pending = pending.clone();
        let again = self.millis(1..40);
        self.clients.told.insert(client, outcome.clone());
        match outcome {
            Ok(Verdict::Committed(receipt) | Verdict::Duplicate(receipt)) => {
                let under = self.peers[peer].term().unwrap_or(receipt.term);
                self.promises.acknowledged(&self.plan, under, pending.commit.id, receipt, &self.sources)?;
                self.clients.pending[client] = None;
                self.clients.served[client] |= !self.is_stormy();
            }
            Ok(_) => self.give_up(client, &pending),
            // in the end somebody gives up, and what became of it stays open
            Err(_) if pending.tries > 6 || !self.clients.may_begin => self.give_up(client, &pending),
            Err(_) if pending.wrote_nothing && self.gate.is_none() && self.chance(0.3) => {
                self.give_up(client, &pending)
            }
            Err(_) => {}
        }
        if self.gate.is_none() {
            self.after(again, Happening::Client(client));
        }
        Ok(())
    }

    fn give_up(&mut self, client: usize, pending: &Pending) {
        self.clients.pending[client] = None;
        if pending.wrote_nothing {
            self.promises.refused(pending.commit.id);
        }
    }

    pub(super) fn proof(&mut self, read: u64, proof: Option<Point>) -> Kept {
        let Some(acked) = self.clients.reads.remove(&read) else { return Ok(()) };
        self.clients.proven.push(proof);
        let Some(point) = proof else { return Ok(()) };
        self.clients.proofs += 1;
        if point.position < acked && self.plan.is_lossless() {
            return Err(format!(
                "a strong read up to {} misses what was acknowledged at {acked}",
                point.position
            ));
        }
        Ok(())
    }
}

/// Whether a client may rely on it that this try was not written and never will be.
pub(super) fn says_nothing_was_written(outcome: &Result<Verdict, AppendError>) -> bool {
    match outcome {
        Ok(Verdict::Committed(_) | Verdict::Duplicate(_)) => false,
        Ok(_) => true,
        Err(AppendError::OutcomeUnknown | AppendError::AcksTimeout { .. }) => false,
        Err(_) => true,
    }
}
