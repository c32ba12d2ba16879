//! Who holds the log of a term's primary, as far as this process was told.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
};

use super::{
    rules::{Rule, Rules},
    settled::Settled,
};
#[cfg(feature = "mutants")]
use polylog_log::mutants;
use polylog_log::{Acks, ConfigPoint, Head, Point, Position, SourceName, Term, Watermarks};

/// So many ends of entries of the primary are remembered.
const REMEMBERED: usize = 64;

/// What is counted under one term, and for it alone: a source that has not heard of the term may still promise another.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    rules: Rules,
    term: Term,
    primary: SourceName,
    config: ConfigPoint,
    tail: Point,
    held: BTreeMap<SourceName, Point>,
    /// How often each other source had been cut when it was found to hold that.
    cuts: BTreeMap<SourceName, u64>,
    /// Places of the primary's log that were seen, the newest last: a voter that shows one of them holds all before it.
    places: VecDeque<Point>,
}

impl Evidence {
    /// Begins with a head that shows `primary` opened; nobody else counts yet.
    pub(crate) fn new(primary: SourceName, head: &Head, rules: Rules) -> Self {
        let held = BTreeMap::from([(primary.clone(), head.tail)]);
        let (config, places) = (head.config.clone(), VecDeque::from([head.tail]));
        let cuts = BTreeMap::new();
        Self { rules, term: head.term, primary, config, tail: head.tail, held, cuts, places }
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }

    pub(crate) fn primary(&self) -> &SourceName {
        &self.primary
    }

    /// The newest configuration seen in the primary's log.
    pub(crate) fn config(&self) -> &ConfigPoint {
        &self.config
    }

    /// The primary's tail, as far as it was seen.
    pub(crate) fn tail(&self) -> Point {
        self.tail
    }

    /// Takes a head of the primary that shows it still leads the term.
    pub(crate) fn leads(&mut self, head: &Head) {
        if head.tail.position >= self.tail.position {
            (self.tail, self.config) = (head.tail, head.config.clone());
            self.held.insert(self.primary.clone(), head.tail);
            self.knows(head.tail);
        }
    }

    /// Takes the end of an entry that the primary wrote or holds.
    pub(crate) fn knows(&mut self, point: Point) {
        if self.places.back() == Some(&point) {
            return;
        }
        if self.places.len() == REMEMBERED {
            self.places.pop_front();
        }
        self.places.push_back(point);
    }

    /// Takes a head of another source: whoever copied to it, it holds the primary's log if its tail is a place of that.
    pub(crate) fn shows(&mut self, source: &SourceName, head: &Head) {
        if head.term != self.term && self.rules.on(Rule::CountUnderTerm) {
            return;
        }
        let is_tail = |place: &&Point| (place.position, place.chain) == (head.tail.position, head.tail.chain);
        if let Some(place) = self.places.iter().rev().find(is_tail).copied() {
            self.holds(source, place, head.cuts());
        }
    }

    /// Takes that `source` stands under the term and holds the primary's log up to `point`, after so many cuts.
    pub(crate) fn holds(&mut self, source: &SourceName, point: Point, cuts: u64) {
        let held = self.held.entry(source.clone()).or_insert(point);
        if point.position >= held.position {
            *held = point;
            self.cuts.insert(source.clone(), cuts);
        }
    }

    /// Takes that nothing that the source said is worth anything.
    pub(crate) fn forget(&mut self, source: &SourceName) {
        self.held.remove(source);
        self.cuts.remove(source);
    }

    /// How far the voter holds the log.
    pub(crate) fn held_by(&self, source: &SourceName) -> Position {
        self.held.get(source).map_or(Position::ZERO, |point| point.position)
    }

    /// Whether this very configuration is committed, and the entry that opened the term: only then may another follow.
    pub(crate) fn may_configure(&self) -> bool {
        let committed = self.committed();
        let own_term = !committed.is_zero() || !self.rules.on(Rule::ConfigUnderTerm);
        own_term && (committed >= self.config.position || !self.rules.on(Rule::ConfigCommitted))
    }

    /// Everything up to here is committed: a majority of the voters holds it, and an entry of this very term after it.
    /// Without the latter a later term could still remove it.
    pub(crate) fn committed(&self) -> Position {
        let voters = self.config.config.voters.len();
        match self.held_by_so_many(Acks::Majority.required(voters)) {
            Some(point) if point.term == self.term || !self.rules.on(Rule::CommitOwnTerm) => point.position,
            _ => Position::ZERO,
        }
    }

    /// Everything up to here has the ack level.
    pub(crate) fn reached(&self, acks: Acks) -> Position {
        #[cfg(feature = "mutants")]
        if mutants::active() == Some(mutants::Mutant::EarlyAck) {
            return self.tail.position;
        }
        let config = &self.config.config;
        let (voters, majority) = (config.voters.len(), Acks::Majority.required(config.voters.len()));
        let required = acks.required(voters);
        let by_count = self.held_by_so_many(required).map_or(Position::ZERO, |point| point.position);
        match acks {
            Acks::Count(_) if required < majority => by_count,
            Acks::Count(_) => by_count.min(self.committed()),
            Acks::Majority => self.committed(),
            Acks::All => self.held_in_sync().min(self.committed()),
        }
    }

    /// Both watermarks of the log's own configuration.
    pub(crate) fn watermarks(&self) -> Watermarks {
        Watermarks { stable: self.committed(), acked: self.reached(self.config.config.acks) }
    }

    /// The end of the entry at `position`, if some source was seen to hold the log just up to there, as it was for every
    /// watermark.
    pub(crate) fn point_at(&self, position: Position) -> Option<Point> {
        self.held.values().find(|point| point.position == position).copied()
    }

    /// The place up to which a source is known to hold the log.
    pub(crate) fn place_of(&self, source: &SourceName) -> Option<Point> {
        self.held.get(source).copied()
    }

    /// How far another source than the primary may be read: what it holds, as far as a majority does. A later primary has
    /// that, whatever the ack level.
    pub(crate) fn settled(&self, source: &SourceName) -> Option<Settled> {
        let (held, cuts) = (self.place_of(source)?, *self.cuts.get(source)?);
        let committed = self.committed();
        let cap = match held.position <= committed || !self.rules.on(Rule::SettledBehind) {
            true => held,
            false => self.point_at(committed)?,
        };
        (!cap.position.is_zero()).then_some(Settled { cap, cuts })
    }

    /// Where the required number of voters stands; the primary is one of them.
    fn held_by_so_many(&self, required: usize) -> Option<Point> {
        let voters = self.config.config.voters.iter();
        let mut held: Vec<Point> = voters.filter_map(|voter| self.held.get(&voter.name)).copied().collect();
        held.sort_by_key(|point| Reverse(point.position));
        held.get(required.checked_sub(1)?).copied()
    }

    /// How far every voter in sync holds the log. A set counts once the entry that brought it is committed: the set before
    /// it may have been larger.
    fn held_in_sync(&self) -> Position {
        let config = &self.config.config;
        let is_too_small = config.acks == Acks::All && config.in_sync.len() < usize::from(config.min_in_sync);
        if self.committed() < self.config.position || is_too_small {
            return Position::ZERO;
        }
        // a log whose own level is lower keeps no such set: there `All` is every voter
        let in_sync: Vec<&SourceName> = match config.in_sync.is_empty() {
            true => config.voters.iter().map(|voter| &voter.name).collect(),
            false => config.in_sync.iter().collect(),
        };
        in_sync.into_iter().map(|name| self.held_by(name)).min().unwrap_or(Position::ZERO)
    }
}
