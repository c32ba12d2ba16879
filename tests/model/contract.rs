use std::collections::HashMap;

use polylog_log::{
    Applying, Commit, CommitReceipt, Config, ConfigPoint, ConfigVersion, Effect, Entry, Facts, Head, Nonce,
    Opening, Operation, Position, RecordedCommit, Rules, StreamHead, Term, Timestamp, Truncating, Verdict,
    Watermarks,
};
use uuid::Uuid;

use crate::{
    histories::Histories,
    members::{LOG, Set, commit, configure, identity, member},
    state::SOURCES,
};

pub use crate::histories::Place;

/// Position of the last entry of the log that the model begins with.
pub const BEGINNING: u8 = 2;

/// A source's head as the model compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// Highest term promised or accepted.
    pub term: u8,
    /// Who has its promise; zero = nobody.
    pub grant: u8,
    /// Last term it was opened for.
    pub lead: u8,
    /// Its log.
    pub tail: Place,
    /// Position up to which it shows its log.
    pub stable: u8,
    /// Position of the configuration that it says is in force.
    pub config: u8,
}

/// What a process asks of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    Promise {
        term: u8,
        nonce: u8,
    },
    Open {
        term: u8,
        nonce: u8,
        tail: Place,
    },
    Append {
        term: u8,
        config: u8,
        commit: u8,
        stable: u8,
    },
    /// Appends a configuration that follows the given one.
    Configure {
        term: u8,
        config: u8,
        voters: Set,
        stable: u8,
    },
    Apply {
        term: u8,
        previous: Place,
        last: Place,
        stable: u8,
    },
    Truncate {
        term: u8,
        keep: Place,
        tail: Place,
    },
}

/// What a source says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Refused,
    Done,
    /// An append was written, now or before, and ends there.
    Committed(Place),
    Duplicate(Place),
}

/// The sources: each step is decided by the contract that every engine keeps, and remembered.
pub struct Contract {
    rules: Rules,
    pub histories: Histories,
    heads: HashMap<(usize, Source), Head>,
    steps: HashMap<(usize, Source, Request), (Source, Answer)>,
}

impl Contract {
    /// The contract, and sources whose log was opened and configured.
    pub fn begin(rules: Rules, used: usize, voters: Set) -> (Self, [Source; SOURCES]) {
        let histories = Histories::new(LOG);
        let mut contract = Self { rules, histories, heads: HashMap::new(), steps: HashMap::new() };
        let empty = |index| Head::empty(identity(index), Config::implicit(member(index)));
        let mut sources: [Source; SOURCES] = std::array::from_fn(|index| contract.keep(index, empty(index)));
        for (index, source) in sources.iter_mut().take(used).enumerate() {
            *source = contract.execute(index, *source, Request::Promise { term: 1, nonce: 1 }).0;
        }
        let start = contract.histories.start();
        sources[0] = contract.execute(0, sources[0], Request::Open { term: 1, nonce: 1, tail: start }).0;
        let first = Request::Configure { term: 1, config: 0, voters, stable: 0 };
        sources[0] = contract.execute(0, sources[0], first).0;
        let all = sources[0].tail;
        let copy = Request::Apply { term: 1, previous: start, last: all, stable: BEGINNING };
        for (index, source) in sources.iter_mut().enumerate().take(used).skip(1) {
            *source = contract.execute(index, *source, copy).0;
        }
        let mut first = contract.heads[&(0, sources[0])].clone();
        let stable = Position::new(BEGINNING.into());
        first.watermarks = Watermarks { stable, acked: stable };
        sources[0] = contract.keep(0, first);
        (contract, sources)
    }

    /// What a source becomes by a request, and what it answers.
    pub fn execute(&mut self, index: usize, source: Source, request: Request) -> (Source, Answer) {
        if let Some(step) = self.steps.get(&(index, source, request)) {
            return *step;
        }
        let step = self.decide(index, source, request);
        self.steps.insert((index, source, request), step);
        step
    }

    fn decide(&mut self, index: usize, source: Source, request: Request) -> (Source, Answer) {
        let head = self.heads[&(index, source)].clone();
        let entries = self.histories.log(source.tail);
        let facts = facts(&entries);
        let name = member(index).name;
        let clock = Timestamp::EPOCH;
        let admit = |operation: Operation<'_>| head.admit(&head.identity, operation, self.rules).ok();
        let effect = match request {
            Request::Promise { term, nonce } => {
                admit(Operation::Promise { term: term_of(term), nonce: nonce_of(nonce) })
            }
            Request::Open { term, nonce, tail } => {
                let tail = self.histories.point(tail);
                let (term, nonce) = (term_of(term), nonce_of(nonce));
                let (forced, missing) = (false, &[][..]);
                let facts = &facts;
                admit(Operation::Open(Opening {
                    term,
                    nonce,
                    tail,
                    primary: &name,
                    forced,
                    missing,
                    facts,
                    clock,
                }))
            }
            Request::Append { term, config, commit: number, stable } => {
                admit(append(term, config, &[commit(number)], &facts, stable))
            }
            Request::Configure { term, config, voters, stable } => {
                admit(append(term, config, &[configure(config + 1, voters)], &facts, stable))
            }
            Request::Apply { term, previous, last, stable } => {
                let entries = self.histories.between(previous, last);
                let (term, previous) = (term_of(term), self.histories.point(previous));
                let watermarks = watermarks(stable);
                admit(Operation::Apply(Applying { term, previous, entries: &entries, watermarks }))
            }
            Request::Truncate { term, keep, tail } => {
                let (keep, tail) = (self.histories.point(keep), self.histories.point(tail));
                let kept = entries.iter().find(|entry| entry.last() == keep.position);
                let kept = kept.map(|entry| (entry.point(), entry.recorded_at()));
                let before = entries.iter().filter(|entry| entry.last() <= keep.position);
                let config =
                    before.filter_map(ConfigPoint::of).next_back().unwrap_or_else(|| head.config.clone());
                admit(Operation::Truncate(Truncating {
                    term: term_of(term),
                    keep,
                    tail,
                    kept,
                    config: &config,
                }))
            }
        };
        let Some(effect) = effect else { return (source, Answer::Refused) };
        self.carry_out(index, source, effect)
    }

    fn carry_out(&mut self, index: usize, source: Source, effect: Effect) -> (Source, Answer) {
        let mut tail = source.tail;
        for entry in &effect.write {
            tail = self.histories.add(tail, entry);
        }
        let place = |receipt: &CommitReceipt| self.histories.place(&receipt.point());
        let answer = match effect.verdicts.first() {
            Some(Verdict::Committed(receipt)) => Answer::Committed(place(receipt)),
            Some(Verdict::Duplicate(receipt)) => Answer::Duplicate(place(receipt)),
            Some(_) => Answer::Refused,
            None => Answer::Done,
        };
        (self.keep(index, effect.head), answer)
    }

    /// Remembers a head without what only counts how often it was written.
    fn keep(&mut self, index: usize, head: Head) -> Source {
        let source = Source {
            term: small(head.term.get()),
            grant: head.grant.map_or(0, |nonce| small(nonce.uuid().as_u128() as u64)),
            lead: small(head.lead.get()),
            tail: self.histories.place(&head.tail),
            stable: small(head.watermarks.stable.get()),
            config: small(head.config.position.get()),
        };
        self.heads.entry((index, source)).or_insert(Head { revision: 0, last_cut: None, ..head });
        source
    }
}

fn small(number: u64) -> u8 {
    u8::try_from(number).expect("bounds keep numbers small")
}

fn term_of(term: u8) -> Term {
    Term::new(term.into())
}

fn nonce_of(nonce: u8) -> Nonce {
    Nonce::new(Uuid::from_u128(nonce.into()))
}

fn watermarks(stable: u8) -> Watermarks {
    let stable = Position::new(stable.into());
    Watermarks { stable, acked: stable }
}

fn append<'a>(term: u8, config: u8, batch: &'a [Commit], facts: &'a Facts, stable: u8) -> Operation<'a> {
    let (term, config, watermarks) = (term_of(term), ConfigVersion(config.into()), watermarks(stable));
    Operation::Append { term, config, batch, facts, watermarks, clock: Timestamp::EPOCH }
}

/// All that a log holds, for whoever looks something up in it.
fn facts(entries: &[Entry]) -> Facts {
    let mut facts = Facts::default();
    for entry in entries {
        let (Some(id), Some(first)) = (entry.commit_id(), entry.events.first()) else { continue };
        let recorded = RecordedCommit {
            receipt: CommitReceipt::of(entry),
            fingerprint: entry.fingerprint,
            first_event: first.id,
        };
        facts.commits.insert(id, recorded);
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
