//! What an engine that has an index of its own is asked: to find and to count without looking at each event. It answers
//! what a look at each event would say, or that it cannot.

use std::num::NonZeroU32;

use super::{Narrow, TallyRow, Words, metadata_values};
use crate::{Category, Event, EventType, Head, Position, RecordedEvent, StreamName, Timestamp};

/// What events must be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sought {
    /// None beyond this position.
    pub to: Position,
    /// By kind and time.
    pub narrow: Narrow,
    /// Of one of these kinds; `None` = of any.
    pub kinds: Option<Vec<(Category, EventType)>>,
    /// Of one of these streams; empty = of any.
    pub streams: Vec<StreamName>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
    /// With all of these words.
    pub words: Option<Words>,
    /// Names of metadata, and what must stand there.
    pub metadata: Vec<(String, String)>,
}

/// The order in which events are found; where times are equal positions decide, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// What happened last comes first.
    Newest,
    /// What happened first comes first.
    Oldest,
    /// As the log has it.
    Position,
    /// The log backward.
    PositionBackward,
}

/// See [`crate::Source::find_by_index`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// Which events.
    pub sought: Sought,
    /// In this order.
    pub order: Order,
    /// Only those behind the one of this time and position.
    pub after: Option<(Timestamp, Position)>,
    /// At most this many.
    pub max_events: usize,
    /// No further event once this many bytes are read.
    pub max_bytes: usize,
    /// Whether all of them are to be counted, also those before `after`.
    pub counts: bool,
}

/// Events that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// In the order asked for.
    pub events: Vec<RecordedEvent>,
    /// Whether there are more behind them.
    pub has_more: bool,
    /// How many there are, if that was asked for.
    pub total: Option<u64>,
    /// Of the same snapshot.
    pub head: Head,
}

/// See [`crate::Source::count_by_index`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Which events.
    pub sought: Sought,
    /// Apart by time too: seconds of one slice, as in a [`super::Tally`].
    pub slice: Option<NonZeroU32>,
    /// Also, each by itself, by what the metadata says under these names.
    pub names: Vec<String>,
}

/// Counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// By kind and slice, in no order; without values.
    pub rows: Vec<TallyRow>,
    /// For each name its values and how many events have them, in no order.
    pub values: Vec<Vec<(String, u64)>>,
    /// Of the same snapshot.
    pub head: Head,
}

impl Sought {
    /// Whether an event is.
    pub fn holds(&self, event: &Event) -> bool {
        let is_of = |(category, event_type): &(Category, EventType)| {
            event.category == *category && event.event_type == *event_type
        };
        event.position <= self.to
            && self.narrow.holds(event)
            && self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(is_of))
            && (self.streams.is_empty() || self.streams.contains(&event.stream))
            && self.correlation_id.as_ref().is_none_or(|id| event.correlation_id.as_ref() == Some(id))
            && self.says(event)
            && self.words.as_ref().is_none_or(|words| words.score(event).is_some())
    }

    fn says(&self, event: &Event) -> bool {
        let (names, wanted): (Vec<String>, Vec<&String>) =
            self.metadata.iter().map(|(name, value)| (name.clone(), value)).unzip();
        let values = metadata_values(event.metadata.as_deref(), &names);
        values.iter().zip(wanted).all(|(value, wanted)| value.as_ref() == Some(wanted))
    }
}

impl Order {
    /// Where an event stands in this order; no two stand in the same place.
    pub fn place(self, time: Timestamp, position: Position) -> (i64, i64) {
        let (time, position) = (time.as_micros(), position.get().cast_signed());
        // turning all bits around turns the order around, without a number that has no counterpart
        match self {
            Order::Newest => (!time, !position),
            Order::Oldest => (time, position),
            Order::Position => (0, position),
            Order::PositionBackward => (0, !position),
        }
    }
}
