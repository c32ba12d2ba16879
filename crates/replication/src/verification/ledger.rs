use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use polylog_log::Position;

/// Findings that are remembered by their positions; more are one large finding anyhow.
const MOST: usize = 10_000;

/// What is known of a source's copy of the log. What is told of a share that was not read would be a guess: the share
/// that was read stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Everything up to here was read at least once since this process opened the log.
    pub through: Position,
    /// The log's end when that was compared.
    pub end: Position,
    /// Events that are not there, and that nobody could write back.
    pub missing: u64,
    /// Events that are not what the log's chain says, and that nobody could, or may, write over.
    pub differing: u64,
    /// Rows that the log knows nothing of.
    pub extra: u64,
    /// Rows that were written back so far.
    pub repaired: u64,
    /// Since then everything up to `through` was read.
    pub since: SystemTime,
    /// The highest of the requests to verify that were carried out; see [`Store::verify`](crate::Store::verify).
    pub answered: u64,
}

impl Verified {
    /// The share of the log that was read, from 0 to 1.
    pub fn coverage(&self) -> f64 {
        share(self.through, self.end)
    }

    /// The share of what was read that is as it should be, from 0 to 1.
    pub fn consistency(&self) -> f64 {
        let wrong = Position::new(self.missing + self.differing + self.extra);
        match wrong.is_zero() {
            true => 1.0,
            false => 1.0 - share(wrong, self.through.max(wrong)),
        }
    }

    /// Whether something is wrong, and stays.
    pub fn is_inconsistent(&self) -> bool {
        self.missing + self.differing + self.extra > 0
    }
}

#[expect(clippy::cast_precision_loss, reason = "positions stay below 2^53")]
fn share(part: Position, whole: Position) -> f64 {
    match whole.is_zero() {
        true => 1.0,
        false => (part.get() as f64 / whole.get() as f64).min(1.0),
    }
}

/// What is wrong at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing stands there.
    Missing,
    /// What stands there is damaged, and no other source has it whole.
    Damaged,
    /// Another event stands there, or another history begins.
    Other,
}

impl Finding {
    pub(super) fn text(self) -> &'static str {
        match self {
            Finding::Missing => "missing",
            Finding::Damaged => "damaged",
            Finding::Other => "diverged",
        }
    }
}

/// Takes down what is found in one source.
#[derive(Debug)]
pub(super) struct Ledger {
    through: Position,
    findings: BTreeMap<Position, Finding>,
    extra: u64,
    repaired: u64,
    since: SystemTime,
    answered: u64,
}

impl Ledger {
    pub(super) fn new(now: SystemTime) -> Self {
        Self {
            through: Position::ZERO,
            findings: BTreeMap::new(),
            extra: 0,
            repaired: 0,
            since: now,
            answered: 0,
        }
    }

    /// Everything behind `from` up to `to` was read, and is as it should be.
    pub(super) fn is_good(&mut self, from: Position, to: Position) {
        if from < to && !self.findings.is_empty() {
            let good = self.findings.range(from.next()..=to).map(|(position, _)| *position);
            for position in good.collect::<Vec<_>>() {
                self.findings.remove(&position);
            }
        }
        self.reached(to);
    }

    /// Everything up to here was read, whatever was found.
    pub(super) fn reached(&mut self, to: Position) {
        self.through = self.through.max(to);
    }

    /// Whether it is news.
    pub(super) fn find(&mut self, at: Position, finding: Finding) -> bool {
        let has_room = self.findings.len() < MOST || self.findings.contains_key(&at);
        has_room && self.findings.insert(at, finding) != Some(finding)
    }

    /// Whether something is known to be wrong here.
    pub(super) fn knows(&self, at: Position) -> bool {
        self.findings.contains_key(&at)
    }

    /// Rows stand behind the log's end. Whether it is news.
    pub(super) fn has_extra(&mut self, count: u64) -> bool {
        std::mem::replace(&mut self.extra, count) != count && count > 0
    }

    pub(super) fn was_repaired(&mut self, rows: u64) {
        self.repaired += rows;
    }

    /// Everything was read again since then.
    pub(super) fn passed(&mut self, since: SystemTime, answered: u64) {
        self.since = self.since.max(since);
        self.answered = self.answered.max(answered);
    }

    /// The source has another log now, or a shorter one.
    pub(super) fn forget(&mut self, now: SystemTime) {
        let (repaired, answered) = (self.repaired, self.answered);
        *self = Self { repaired, answered, ..Self::new(now) };
    }

    pub(super) fn verified(&self, end: Position) -> Verified {
        let count = |missing: bool| {
            let of_kind = |finding: &&Finding| (**finding == Finding::Missing) == missing;
            self.findings.values().filter(of_kind).count() as u64
        };
        Verified {
            through: self.through.min(end),
            end,
            missing: count(true),
            differing: count(false),
            extra: self.extra,
            repaired: self.repaired,
            since: self.since,
            answered: self.answered,
        }
    }
}

/// A cycle is spread evenly: the moment at which a pass that began then should have come so far.
pub(super) fn due(cycle: Duration, position: Position, end: Position) -> Duration {
    cycle.mul_f64(share(position, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    #[test]
    fn coverage_and_consistency_are_shares_of_what_was_read() {
        let mut ledger = Ledger::new(SystemTime::UNIX_EPOCH);
        let shares = |verified: Verified| (verified.coverage(), verified.consistency());
        assert_eq!(shares(ledger.verified(at(0))), (1.0, 1.0), "an empty log");
        assert_eq!(shares(ledger.verified(at(100))), (0.0, 1.0));
        ledger.is_good(at(0), at(40));
        assert_eq!(shares(ledger.verified(at(100))), (0.4, 1.0));
        assert!(ledger.find(at(41), Finding::Missing) && ledger.find(at(42), Finding::Other));
        assert!(!ledger.find(at(41), Finding::Missing), "it is known");
        ledger.reached(at(100));
        let verified = ledger.verified(at(100));
        assert_eq!(shares(verified), (1.0, 0.98));
        assert_eq!((verified.missing, verified.differing), (1, 1));
        ledger.is_good(at(40), at(41));
        assert_eq!(ledger.verified(at(100)).consistency(), 0.99);
        assert!(ledger.has_extra(2) && !ledger.has_extra(2));
        assert_eq!(ledger.verified(at(100)).consistency(), 0.97);
        ledger.has_extra(0);
        ledger.is_good(at(0), at(100));
        assert_eq!(shares(ledger.verified(at(100))), (1.0, 1.0));
        assert!(!ledger.verified(at(100)).is_inconsistent());
    }

    #[test]
    fn a_cycle_is_spread_evenly() {
        let cycle = Duration::from_secs(100);
        assert_eq!(due(cycle, at(0), at(1_000)), Duration::ZERO);
        assert_eq!(due(cycle, at(250), at(1_000)), Duration::from_secs(25));
        assert_eq!(due(cycle, at(2_000), at(1_000)), cycle);
    }
}
