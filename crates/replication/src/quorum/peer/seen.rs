//! What a peer knows, for those who read, and for those who ask how the log is.

use std::time::Instant;

use polylog_log::{ConfigPoint, Head, Identity, Point, Position, SourceName, Term};

use super::Peer;
use crate::{Sent, Stalled, quorum::Settled};

/// What is known of the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// The primary that is obeyed.
    pub(crate) lead: Option<SeenLead>,
    /// Whether this process elects, and copies to those that fell behind.
    pub(crate) has_duties: bool,
    /// Every source.
    pub(crate) sources: Vec<SeenSource>,
    /// Commits and bytes that wait to be sent.
    pub(crate) waiting: (usize, usize),
    /// Batches that were answered so far.
    pub(crate) sent: Sent,
}

/// A primary, and how far its log is held.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenLead {
    pub(crate) term: Term,
    pub(crate) primary: SourceName,
    /// The newest configuration in its log.
    pub(crate) config: ConfigPoint,
    /// The end of its log.
    pub(crate) tail: Point,
    /// What a majority holds under the term; `None` = nothing yet.
    pub(crate) committed: Option<Point>,
    /// What has the store's ack level under the term; `None` = nothing yet.
    pub(crate) acked: Option<Point>,
}

/// A source, as seen last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenSource {
    pub(crate) name: SourceName,
    pub(crate) identity: Identity,
    pub(crate) head: Option<Head>,
    /// How far it is known to hold the primary's log.
    pub(crate) held: Option<Point>,
    /// What may be read of it whether or not the primary answers; of the primary nothing.
    pub(crate) settled: Option<Settled>,
    /// Since when every read failed.
    pub(crate) failing_since: Option<Instant>,
    /// Since when everything failed that was written to it.
    pub(crate) refuses_since: Option<Instant>,
    /// The entry that it cannot store, as far as this process copies to it.
    pub(crate) stalled: Option<Stalled>,
    /// It showed less than before: a backup was put back, or writes were lost.
    pub(crate) went_back: bool,
}

impl<T> Peer<T> {
    /// What is known now.
    pub(crate) fn seen(&self) -> Seen {
        let evidence = self.lead.as_ref().map(|lead| &lead.evidence);
        let lead = evidence.map(|evidence| {
            let watermarks = evidence.watermarks();
            let place = |position: Position| evidence.point_at(position).filter(|_| !position.is_zero());
            SeenLead {
                term: evidence.term(),
                primary: evidence.primary().clone(),
                config: evidence.config().clone(),
                tail: evidence.tail(),
                committed: place(watermarks.stable),
                acked: place(watermarks.acked),
            }
        });
        let source = |name: &SourceName| {
            let known = self.sources.get(name)?;
            let copying = self.lead.as_ref().and_then(|lead| lead.copies.get(name));
            Some(SeenSource {
                name: name.clone(),
                identity: known.identity,
                head: known.head.clone(),
                held: evidence.and_then(|evidence| evidence.place_of(name)),
                settled: evidence.and_then(|evidence| evidence.settled(name)),
                failing_since: known.failing_since,
                refuses_since: self.polled_at.and_then(|now| known.refuses_since(now)),
                stalled: copying.and_then(|copying| copying.stalled().cloned()),
                went_back: known.went_back,
            })
        };
        Seen {
            lead,
            has_duties: self.options.has_duties,
            sources: self.sources.names().filter_map(source).collect(),
            waiting: self.group.waiting(),
            sent: self.group.sent(),
        }
    }

    /// The sources that are known to hold the log up to here.
    pub(crate) fn holders(&self, position: Position) -> Vec<SourceName> {
        let Some(lead) = &self.lead else { return Vec::new() };
        let holds = |name: &&SourceName| lead.evidence.held_by(name) >= position;
        self.sources.names().filter(holds).cloned().collect()
    }

    /// Refuses what comes from now on; what was taken is finished.
    pub(crate) fn drain(&mut self) {
        self.group.drain();
    }

    /// Whether nobody waits for anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.group.is_idle() && self.unacked.is_empty() && self.barriers.is_empty()
    }
}
