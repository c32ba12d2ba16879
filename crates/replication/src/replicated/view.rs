use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{Acks, Failure, Head, Member, Point, Position, SourceName, Term};

use crate::{
    Sent,
    quorum::{SeenSource, Settled},
};

/// What a process knows of its log: replaced as a whole whenever something changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// Grows with each change.
    pub(crate) number: u64,
    /// The primary, and the term that it leads; `None` = there is none that is known.
    pub(crate) primary: Option<(SourceName, Term)>,
    /// Whether this process elects, and copies to those that fell behind.
    pub(crate) has_duties: bool,
    /// What reads see of the log; `None` = not known yet.
    pub(crate) place: Option<Place>,
    /// Those that are not known to hold all of that, and may be read as far as they hold it.
    pub(crate) behind: Vec<Behind>,
    /// Every source, with how long it is behind.
    pub(crate) sources: Vec<Replicated>,
    /// Commits and bytes that wait to be sent.
    pub(crate) waiting: (usize, usize),
    /// Batches that were answered so far.
    pub(crate) sent: Sent,
    pub(crate) is_draining: bool,
}

/// How far the log may be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// The head of the primary when it was seen last.
    pub(crate) head: Head,
    /// Nothing beyond this is shown.
    pub(crate) cap: Point,
    /// Whether what is shown may be lost when the primary is: then it alone holds all of it.
    pub(crate) is_lossy: bool,
    /// Those that hold everything up to the cap, the primary first.
    pub(crate) holders: Vec<SourceName>,
    /// Those that are read only where no other can answer.
    pub(crate) spared: BTreeSet<SourceName>,
    /// The term under which it was counted.
    pub(crate) term: Term,
}

/// A source that may lack some of what may be shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Behind {
    pub(crate) name: SourceName,
    pub(crate) settled: Settled,
    /// Since when the log is known to go on beyond that; `None` = it is not.
    pub(crate) since: Option<Instant>,
}

/// A source, as last seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replicated {
    pub(crate) seen: SeenSource,
    /// Why the last request failed, if it did.
    pub(crate) failure: Option<Failure>,
    /// How long it is behind; `None` = not known.
    pub(crate) lag: Option<Duration>,
}

impl Place {
    /// The log's head as readers know it: it ends at the cap.
    pub(crate) fn shown(&self, revision: u64) -> Head {
        let watermarks = self.head.watermarks.capped(self.cap.position);
        Head { tail: self.cap, watermarks, revision, ..self.head.clone() }
    }
}

impl Behind {
    pub(crate) fn lag(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

impl View {
    pub(crate) fn empty() -> Arc<Self> {
        Arc::new(Self {
            number: 0,
            primary: None,
            has_duties: false,
            place: None,
            behind: Vec::new(),
            sources: Vec::new(),
            waiting: (0, 0),
            sent: Sent::default(),
            is_draining: false,
        })
    }

    /// The end of what is shown.
    pub(crate) fn cap(&self) -> Position {
        self.place.as_ref().map_or(Position::ZERO, |place| place.cap.position)
    }

    /// How long what is shown of a source is behind; `None` = not known.
    pub(crate) fn lag_of(&self, name: &SourceName, now: Instant) -> Option<Duration> {
        match self.behind.iter().find(|behind| behind.name == *name) {
            Some(behind) => Some(behind.lag(now)),
            None => self.sources.iter().find(|source| source.seen.name == *name)?.lag,
        }
    }

    /// Whether a majority of the log's voters answers, as far as is known.
    pub(crate) fn reaches_majority(&self) -> bool {
        let Some(place) = &self.place else { return self.sees_majority() };
        let voters = &place.head.config.config.voters;
        let answers = |voter: &&Member| {
            let mut sources = self.sources.iter().map(|source| &source.seen);
            sources.any(|source| source.name == voter.name && source.failing_since.is_none())
        };
        voters.iter().filter(answers).count() >= Acks::Majority.required(voters.len())
    }

    /// The same before anybody leads the log, when who votes is not known yet: of all sources.
    fn sees_majority(&self) -> bool {
        let sources = self.sources.iter().map(|source| &source.seen);
        let answering = sources.filter(|source| source.head.is_some() && source.failing_since.is_none());
        !self.sources.is_empty() && answering.count() >= Acks::Majority.required(self.sources.len())
    }
}
