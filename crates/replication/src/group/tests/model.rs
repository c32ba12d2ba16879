//! A log in memory that decides by the contract's rules, for the machine to talk to.

use std::sync::Arc;

use polylog_log::{
    Appended, Commit, CommitReceipt, Config, DatabaseId, Entry, EventId, EventType, Expected, Facts, Head,
    Identity, Incarnation, LogId, Member, NewEvent, Operation, OperationError, Position, RecordedCommit,
    Rules, SourceName, StreamAppend, StreamHead, StreamName, Term, Timestamp, Version, Watermarks,
};
use uuid::Uuid;

use super::super::{Batch, Primary};

pub(super) struct Log {
    pub(super) head: Head,
    pub(super) entries: Vec<Entry>,
}

pub(super) fn log_id() -> LogId {
    LogId::new(Uuid::from_u128(7))
}

/// A commit of `events` events of `bytes` bytes each, whose ids follow from `number`.
pub(super) fn commit(number: u32, stream: &str, expected: Expected, events: usize, bytes: usize) -> Commit {
    let event = |index: usize| {
        let id = EventId::new(Uuid::from_u128(u128::from(number) << 32 | index as u128));
        NewEvent::json(id, EventType::recorded("Happened"), vec![b'1'; bytes])
    };
    let append = StreamAppend::new(StreamName::recorded(stream), expected, (0..events).map(event).collect());
    Commit::new(log_id(), vec![append])
}

impl Log {
    /// A log that is open in term 1, with one voter.
    pub(super) fn open() -> Self {
        let database = DatabaseId::new(Uuid::from_u128(1));
        let incarnation = Incarnation::new(Uuid::from_u128(2));
        let identity = Identity { log: log_id(), database, incarnation };
        let voter = Member { name: SourceName::recorded("ledger"), database, incarnation };
        let empty = Head::empty(identity, Config::implicit(voter));
        Self { head: Head { term: Term::FIRST, lead: Term::FIRST, ..empty }, entries: Vec::new() }
    }

    pub(super) fn primary(&self) -> Primary {
        Primary { term: self.head.term, config: self.head.config.config.version }
    }

    pub(super) fn append(&mut self, batch: &Batch) -> Result<Appended, OperationError> {
        let Primary { term, config } = batch.primary;
        let facts = &self.facts();
        let clock = Timestamp::EPOCH;
        let (batch, watermarks) = (&batch.commits[..], Watermarks::default());
        let operation = Operation::Append { term, config, batch, facts, watermarks, clock };
        match self.head.admit(&self.head.identity.clone(), operation, Rules::ALL) {
            Ok(effect) => {
                self.entries.extend(effect.write.iter().cloned());
                self.head = effect.head;
                Ok(Appended { verdicts: effect.verdicts, head: self.head.clone(), written: effect.write })
            }
            Err(reason) => Err(OperationError::Refused { reason, head: Box::new(self.head.clone()) }),
        }
    }

    /// Another process opens the next term.
    pub(super) fn reopen(&mut self) {
        self.head.term = self.head.term.next();
        self.head.lead = self.head.term;
    }

    /// Another process writes the next configuration.
    pub(super) fn reconfigure(&mut self) {
        let mut config = Config::clone(&self.head.config.config);
        config.version.0 += 1;
        self.head.config.config = Arc::new(config);
    }

    pub(super) fn positions_of(&self, commit: &Commit) -> Vec<Position> {
        let of = |entry: &&Entry| entry.commit_id() == Some(commit.id);
        self.entries.iter().filter(of).map(Entry::first).collect()
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for entry in &self.entries {
            let receipt = CommitReceipt::of(entry);
            let first = &entry.events[0];
            let recorded = RecordedCommit { receipt, fingerprint: entry.fingerprint, first_event: first.id };
            facts.commits.insert(first.commit_id, recorded);
            for event in &entry.events {
                let head = StreamHead {
                    version: event.version,
                    category: event.category.clone(),
                    aggregate_id: event.aggregate_id.clone(),
                };
                facts.streams.insert(event.stream.clone(), head);
                facts.events.insert(event.id, (event.stream.clone(), event.position));
            }
        }
        facts
    }
}

/// An expected version by number.
pub(super) fn at(version: u64) -> Expected {
    Expected::Version(Version::new(version))
}
