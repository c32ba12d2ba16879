//! What one source may answer, judged by the snapshot that it was read from.

use std::sync::Arc;

use polylog_log::{Failure, Head, Identity, Point, Position, Source};

use crate::{
    quorum::{Rules, Settled},
    replicated::Place,
};

/// What a read is answered from: a source, and how far it may be shown.
pub(super) struct From {
    pub(super) source: Arc<dyn Source>,
    pub(super) identity: Identity,
    pub(super) place: Place,
    pub(super) cap: Point,
    /// Why it may be read although it may be behind.
    pub(super) settled: Option<Settled>,
    /// Of the view.
    pub(super) number: u64,
}

impl From {
    /// Whether the snapshot that a page was read from holds what may be shown, and is this log's.
    pub(super) fn check(&self, head: &Head) -> Result<(), Failure> {
        if head.identity != self.identity {
            return Err(Failure::WrongStore(format!("log {}", head.identity.log)));
        }
        if let Some(settled) = &self.settled {
            return match settled.is_in(head, Rules::default()) {
                true => Ok(()),
                false => {
                    Err(Failure::Unreachable("the source gave back some of its log since it was seen".into()))
                }
            };
        }
        let is_level = head.tail.position >= self.cap.position;
        // what less than a majority holds is only known of the term under which it was counted
        let is_counted = head.term == self.place.term || !self.place.is_lossy;
        match is_level && is_counted {
            true => Ok(()),
            false => Err(Failure::Unreachable("the primary changed while the log was read".into())),
        }
    }

    /// Whether everything up to a position may be shown from here. A search began with what some source may show: another
    /// one that is behind is not asked.
    pub(super) fn check_reach(&self, to: Position) -> Result<(), Failure> {
        match to <= self.cap.position {
            true => Ok(()),
            false => Err(Failure::Unreachable(format!(
                "nothing beyond {} may be shown from here",
                self.cap.position
            ))),
        }
    }

    /// Whether it has something to say on what it did not find: it may stand in what it lacks.
    pub(super) fn check_absent(&self) -> Result<(), Failure> {
        match self.settled.is_some() && self.cap.position < self.place.cap.position {
            false => Ok(()),
            true => Err(Failure::Unreachable(format!(
                "it is not among what is shown from here, up to {}",
                self.cap.position
            ))),
        }
    }

    /// The head as it is shown: the source's name, and the cap for its end.
    pub(super) fn shown(&self) -> Head {
        shown(&self.place, self.number, self.identity, self.cap)
    }
}

pub(super) fn shown(place: &Place, number: u64, identity: Identity, cap: Point) -> Head {
    let shown = place.shown(number);
    Head { identity, tail: cap, watermarks: shown.watermarks.capped(cap.position), ..shown }
}
