use serde::{Deserialize, Serialize};

use crate::{Chain, CommitId, Event, Fingerprint, LogId, Position, Term, Timestamp, encoding::Encoder};

/// The end of an entry in a history: where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Position of the entry's last event; zero = before the first entry.
    pub position: Position,
    /// The entry's term.
    pub term: Term,
    /// The chain at its end.
    pub chain: Chain,
}

impl Point {
    /// Where a log begins.
    pub fn start(log: LogId) -> Self {
        Self { position: Position::ZERO, term: Term::ZERO, chain: Chain::start(log) }
    }
}

/// The unit of replication: one commit, or one system event. Never split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The term of the primary that wrote it; copying never changes it.
    pub term: Term,
    /// What its caller sent, hashed; lets another primary recognise a retry.
    pub fingerprint: Fingerprint,
    /// One or more, of consecutive positions.
    pub events: Vec<Event>,
    /// The chain at its end.
    pub chain: Chain,
}

/// Why entries do not continue a history. The log that sent them is damaged or another one: do not send them again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// An entry without events.
    #[error("an entry after position {0} holds no events")]
    Empty(Position),
    /// A hole, an overlap or a part of a commit.
    #[error("expected position {expected} of an entry from {first} to {last}, got {got}")]
    NotWhole {
        /// The position that should have come.
        expected: Position,
        /// The position that came.
        got: Position,
        /// Where the event says its commit begins.
        first: Position,
        /// Where the event says its commit ends.
        last: Position,
    },
    /// The chain does not follow from the entry before.
    #[error("the chain at position {0} does not follow from the entry before it")]
    Chain(Position),
    /// A digest or data digest is not that of the event's fields.
    #[error("the event at position {0} is not what its digest says")]
    Digest(Position),
    /// A term lower than that of the entry before.
    #[error("the entry at position {0} has a lower term than the one before it")]
    TermFalls(Position),
}

impl Entry {
    /// Position of its first event.
    pub fn first(&self) -> Position {
        self.events.first().map_or(Position::ZERO, |event| event.position)
    }

    /// Position of its last event.
    pub fn last(&self) -> Position {
        self.events.last().map_or(Position::ZERO, |event| event.position)
    }

    /// Where the log stands after it.
    pub fn point(&self) -> Point {
        Point { position: self.last(), term: self.term, chain: self.chain }
    }

    /// The last event of each of its streams, whose events stand together.
    pub fn stream_ends(&self) -> impl Iterator<Item = &Event> {
        let goes_on = |index: usize, event: &Event| {
            self.events.get(index + 1).is_some_and(|next| next.stream == event.stream)
        };
        let ends = self.events.iter().enumerate().filter(move |(index, event)| !goes_on(*index, event));
        ends.map(|(_, event)| event)
    }

    /// When it was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.events.last().map_or(Timestamp::EPOCH, |event| event.recorded_at)
    }

    /// The commit it is.
    pub fn commit_id(&self) -> Option<CommitId> {
        self.events.first().map(|event| event.commit_id)
    }

    /// Bytes of variable length; what a page is measured by.
    pub fn size(&self) -> usize {
        self.events.iter().map(Event::size).sum()
    }

    /// The chain after an entry of these events that follows `previous`.
    pub fn compute_chain<'a>(
        previous: Chain,
        term: Term,
        fingerprint: Fingerprint,
        events: impl ExactSizeIterator<Item = &'a Event>,
    ) -> Chain {
        let mut encoder = Encoder::new("polylog v1 entry");
        encoder.bytes(previous.as_bytes());
        encoder.number(term.get());
        encoder.bytes(fingerprint.as_bytes());
        encoder.number(events.len() as u64);
        for event in events {
            encoder.bytes(event.digest.as_bytes());
        }
        Chain::from_bytes(encoder.hash128())
    }

    /// Whether it continues a history that stands at `previous`. Says nothing of its events: see [`Self::follows`].
    pub fn continues(&self, previous: &Point) -> bool {
        let chain = || Self::compute_chain(previous.chain, self.term, self.fingerprint, self.events.iter());
        self.first() == previous.position.next() && self.chain == chain()
    }

    /// Checks that this entry is whole, is what its digests say and continues a history that stands at `previous`.
    pub fn follows(&self, previous: &Point) -> Result<(), EntryError> {
        let (first, last) = (previous.position.next(), self.last());
        if self.events.is_empty() {
            return Err(EntryError::Empty(previous.position));
        }
        for (expected, event) in (first.get()..).map(Position::new).zip(&self.events) {
            if event.position != expected || event.first != first || event.last != last {
                let (got, first, last) = (event.position, event.first, event.last);
                return Err(EntryError::NotWhole { expected, got, first, last });
            }
            if event.digest != event.compute_digest() {
                return Err(EntryError::Digest(event.position));
            }
            let data_is_true =
                event.data.as_ref().is_none_or(|data| crate::DataDigest::of(data) == event.data_digest);
            if !data_is_true {
                return Err(EntryError::Digest(event.position));
            }
        }
        if self.term < previous.term {
            return Err(EntryError::TermFalls(first));
        }
        let chain = Self::compute_chain(previous.chain, self.term, self.fingerprint, self.events.iter());
        if chain != self.chain {
            return Err(EntryError::Chain(last));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
