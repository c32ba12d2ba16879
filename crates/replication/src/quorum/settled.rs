use polylog_log::{Head, Point};

use super::rules::{Rule, Rules};

/// A part of a source's log that stays, whoever is the primary next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Its end.
    pub(crate) cap: Point,
    /// How often the source had been cut when it was seen to hold this. Its own watermark does not say that it still does:
    /// whoever opens a log without a majority may cut below it.
    pub(crate) cuts: u64,
}

impl Settled {
    /// Whether a snapshot of the source, whose head this is, holds it. The term says nothing: a source that promised the
    /// next one still holds what it held.
    pub(crate) fn is_in(&self, head: &Head, rules: Rules) -> bool {
        let is_uncut = head.cuts() == self.cuts || !rules.on(Rule::ReadUncut);
        is_uncut && head.tail.position >= self.cap.position
    }
}
