//! A source in memory: one atomic step for each operation, decided by the contract itself.

use std::collections::HashMap;

use polylog_log::{
    Appended, Applying, CommitId, CommitReceipt, Config, ConfigPoint, Effect, Entry, Event, EventId, Facts,
    Failure, Head, Identity, Incarnation, Lease, LeaseAnswer, LogPage, Opening, Operation as Contract,
    OperationError, Point, Position, RecordedCommit, Refusal, RefusedReason, Rules, StreamHead, StreamName,
    Timestamp, Truncating, Wanted,
};

use crate::quorum::{
    Answer, Operation, Request,
    memory::{LEASE, Memory},
};

#[derive(Clone)]
pub(super) struct SimSource {
    pub(super) head: Head,
    pub(super) entries: Vec<Entry>,
    pub(super) removed: Vec<Entry>,
    /// Most entries in a page.
    page: usize,
    /// All that were ever in force in this log, the implicit one first.
    configs: Vec<ConfigPoint>,
    commits: HashMap<CommitId, RecordedCommit>,
    streams: HashMap<StreamName, StreamHead>,
    ids: HashMap<EventId, (StreamName, Position)>,
    pub(super) clock: i64,
    rules: Rules,
    /// By name.
    pub(super) leases: HashMap<String, Lease>,
}

impl SimSource {
    pub(super) fn new(identity: Identity, config: Config, page: usize, rules: Rules) -> Self {
        let head = Head::empty(identity, config);
        Self {
            configs: vec![head.config.clone()],
            head,
            page,
            entries: Vec::new(),
            removed: Vec::new(),
            commits: HashMap::new(),
            streams: HashMap::new(),
            ids: HashMap::new(),
            clock: 0,
            rules,
            leases: HashMap::new(),
        }
    }

    pub(super) fn execute(&mut self, request: &Request) -> Answer {
        self.clock += 1;
        let clock = Timestamp::from_micros(self.clock);
        let of = &request.of;
        match &request.operation {
            Operation::Head => Answer::Head(Ok(self.head.clone())),
            Operation::ReadLog(read) => {
                let first = self.entries.partition_point(|entry| entry.last() < read.from);
                let mut entries = Vec::new();
                let mut events = 0;
                for entry in &self.entries[first..] {
                    let is_full = events >= read.max_events || entries.len() >= self.page;
                    if entry.first() > read.to || (is_full && !entries.is_empty()) {
                        break;
                    }
                    events += entry.events.len();
                    entries.push(entry.clone());
                }
                Answer::Page(Ok(LogPage { entries, head: self.head.clone() }))
            }
            Operation::Lease(swap) => {
                if self.head.identity != *of {
                    let head = Box::new(self.head.clone());
                    return Answer::Leased(Err(OperationError::Refused {
                        reason: Refusal::WrongStore,
                        head,
                    }));
                }
                let swapped = self.leases.get(&swap.name) == swap.expect.as_ref();
                match &swap.set {
                    Some(lease) if swapped => drop(self.leases.insert(swap.name.clone(), lease.clone())),
                    None if swapped => drop(self.leases.remove(&swap.name)),
                    Some(_) | None => {}
                }
                let lease = self.leases.get(&swap.name).cloned();
                Answer::Leased(Ok(LeaseAnswer { swapped, lease }))
            }
            Operation::Promise(term, nonce) => {
                self.change(of, Contract::Promise { term: *term, nonce: *nonce })
            }
            Operation::Open(open) => {
                let facts = self.facts(&Wanted::by_open());
                let opening = Opening {
                    term: open.term,
                    nonce: open.nonce,
                    tail: open.tail,
                    primary: &open.primary,
                    forced: open.forced,
                    missing: &open.missing,
                    facts: &facts,
                    clock,
                };
                self.change(of, Contract::Open(opening))
            }
            Operation::Append(append) => {
                let facts = self.facts(&Wanted::by_batch(&append.batch));
                let operation = Contract::Append {
                    term: append.term,
                    config: append.config,
                    batch: &append.batch,
                    facts: &facts,
                    watermarks: append.watermarks,
                    clock,
                };
                let decided = self.head.admit(of, operation, self.rules);
                let before = self.entries.len();
                let verdicts = self.carry_out(decided);
                let written = self.entries[before..].to_vec();
                Answer::Appended(verdicts.map(|verdicts| Appended {
                    verdicts,
                    head: self.head.clone(),
                    written,
                }))
            }
            Operation::Apply(apply) => {
                let applying = Applying {
                    term: apply.term,
                    previous: apply.previous,
                    entries: &apply.entries,
                    watermarks: apply.watermarks,
                };
                self.change(of, Contract::Apply(applying))
            }
            Operation::Strip(strip) => {
                let decided = self.head.admit_strip(of, self.rules);
                if let Err(reason) = decided {
                    let head = Box::new(self.head.clone());
                    return Answer::Changed(Err(OperationError::Refused { reason, head }));
                }
                for (position, _) in &strip.events {
                    let at = self.entries.partition_point(|entry| entry.last() < *position);
                    let events = self.entries.get_mut(at).map(|entry| &mut entry.events);
                    for event in events.into_iter().flatten().filter(|event| event.position == *position) {
                        if strip.names(event, self.rules) {
                            event.data = None;
                        }
                    }
                }
                Answer::Changed(Ok(self.head.clone()))
            }
            Operation::Truncate(truncate) => {
                let keep = truncate.keep.position;
                let config = self.config_at(keep);
                let kept = if keep.is_zero() {
                    Some((Point::start(self.head.identity.log), Timestamp::EPOCH))
                } else {
                    self.entry_at(keep).map(|entry| (entry.point(), entry.recorded_at()))
                };
                let truncating = Truncating {
                    term: truncate.term,
                    keep: truncate.keep,
                    tail: truncate.tail,
                    kept,
                    config: &config,
                };
                self.change(of, Contract::Truncate(truncating))
            }
        }
    }

    fn change(&mut self, of: &Identity, operation: Contract<'_>) -> Answer {
        let decided = self.head.admit(of, operation, self.rules);
        Answer::Changed(self.carry_out(decided).map(|_| self.head.clone()))
    }

    fn carry_out(
        &mut self,
        decided: Result<Effect, Refusal>,
    ) -> Result<Vec<polylog_log::Verdict>, OperationError> {
        let effect = match decided {
            Ok(effect) => effect,
            Err(reason) => {
                return Err(OperationError::Refused { reason, head: Box::new(self.head.clone()) });
            }
        };
        if let Some(cut) = effect.cut {
            let keep = self.entries.partition_point(|entry| entry.last() <= cut.keep.position);
            self.removed.extend(self.entries.split_off(keep));
            (self.commits, self.streams, self.ids) = Default::default();
            self.configs.retain(|config| config.position <= cut.keep.position);
            for entry in std::mem::take(&mut self.entries) {
                self.index(&entry);
                self.entries.push(entry);
            }
        }
        for entry in effect.write {
            self.index(&entry);
            self.configs.extend(ConfigPoint::of(&entry));
            self.entries.push(entry);
        }
        self.head = effect.head;
        Ok(effect.verdicts)
    }

    fn index(&mut self, entry: &Entry) {
        let (Some(id), Some(first)) = (entry.commit_id(), entry.events.first()) else { return };
        let recorded = RecordedCommit {
            receipt: CommitReceipt::of(entry),
            fingerprint: entry.fingerprint,
            first_event: first.id,
        };
        self.commits.insert(id, recorded);
        for event in &entry.events {
            let head = StreamHead {
                version: event.version,
                category: event.category.clone(),
                aggregate_id: event.aggregate_id.clone(),
            };
            self.streams.insert(event.stream.clone(), head);
            self.ids.insert(event.id, (event.stream.clone(), event.position));
        }
    }

    fn facts(&self, wanted: &Wanted) -> Facts {
        let commits = wanted.commits.iter().filter_map(|id| Some((*id, self.commits.get(id)?.clone())));
        let streams =
            wanted.streams.iter().filter_map(|name| Some((name.clone(), self.streams.get(name)?.clone())));
        let events = wanted.events.iter().filter_map(|id| Some((*id, self.ids.get(id)?.clone())));
        Facts { commits: commits.collect(), streams: streams.collect(), events: events.collect() }
    }

    fn config_at(&self, position: Position) -> ConfigPoint {
        let before = self.configs.iter().rev().find(|config| config.position <= position);
        before.unwrap_or(&self.configs[0]).clone()
    }

    pub(super) fn configs(&self) -> impl Iterator<Item = &ConfigPoint> {
        self.configs.iter()
    }

    /// The event at a position.
    pub(super) fn event_at(&self, position: Position) -> Option<&Event> {
        let at = self.entries.partition_point(|entry| entry.last() < position);
        self.entries.get(at)?.events.iter().find(|event| event.position == position)
    }

    /// The entry that ends there.
    pub(super) fn entry_at(&self, position: Position) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&position, Entry::last).ok()?;
        self.entries.get(at)
    }

    /// Adopted again: what it holds stays, but it is not the voter that it was.
    pub(super) fn adopt(&mut self, incarnation: Incarnation) {
        self.head.identity.incarnation = incarnation;
        self.head.grant = None;
        self.head.revision += 1;
    }

    /// The revision that it keeps of another one.
    pub(super) fn keeps_of(&self, other: &Identity) -> u64 {
        self.leases.get(LEASE).map_or(0, |lease| Memory::kept_in(lease).of(other))
    }

    /// What a source says that is down.
    pub(super) fn down() -> Failure {
        Failure::Unreachable("down".into())
    }

    pub(super) fn read_only() -> Failure {
        Failure::Refused { reason: RefusedReason::ReadOnly, message: "read-only".into() }
    }
}
