//! What this process wrote to the primary last: the others get it from memory, without anybody reading it back.

use std::{collections::VecDeque, sync::Arc};

use polylog_log::{Entry, Point, Position};

use super::rules::{Rule, Rules};

/// Most events and bytes that are kept. Whoever lacks more is brought the log by reading.
const MOST_EVENTS: usize = 500;
const MOST_BYTES: usize = 1 << 20;

/// Consecutive entries of the primary of one term.
#[derive(Debug)]
pub(crate) struct Written {
    rules: Rules,
    entries: VecDeque<Entry>,
    events: usize,
    bytes: usize,
}

impl Written {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, entries: VecDeque::new(), events: 0, bytes: 0 }
    }

    /// Takes what the primary answered to have written. What others wrote between is not known here: it begins anew.
    pub(crate) fn take(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if self.entries.back().is_some_and(|last| !entry.continues(&last.point())) {
                self.forget_until(Position::new(u64::MAX));
            }
            (self.events, self.bytes) = (self.events + entry.events.len(), self.bytes + entry.size());
            self.entries.push_back(entry);
            while self.events > MOST_EVENTS || self.bytes > MOST_BYTES {
                self.forget_first();
            }
        }
    }

    /// Everybody who could be brought it holds the log up to here.
    pub(crate) fn forget_until(&mut self, position: Position) {
        while self.entries.front().is_some_and(|entry| entry.last() <= position) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            (self.events, self.bytes) = (self.events - entry.events.len(), self.bytes - entry.size());
        }
    }

    /// What a log that stands at `tail` lacks, up to `cap`; `None` where nothing that is kept continues it.
    pub(crate) fn after(&self, tail: &Point, cap: Position) -> Option<Arc<[Entry]>> {
        let from = tail.position.next();
        let index = self.entries.partition_point(|entry| entry.first() < from);
        let first = self.entries.get(index)?;
        let continues = match self.rules.on(Rule::PushContinues) {
            true => first.continues(tail),
            false => first.first() == from,
        };
        let lacking = || self.entries.range(index..).take_while(|entry| entry.last() <= cap);
        (continues && first.last() <= cap).then(|| lacking().cloned().collect())
    }
}

#[cfg(test)]
pub(super) mod tests;
