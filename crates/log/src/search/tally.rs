use std::{collections::HashMap, num::NonZeroU32, ops::RangeInclusive};

use super::{Narrow, metadata_values};
use crate::{Category, Event, EventType, Head, Position, Timestamp};

/// See [`crate::Source::tally`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The positions to look at.
    pub range: RangeInclusive<Position>,
    /// Which events are counted.
    pub narrow: Narrow,
    /// Apart by time too: seconds of one slice; slices begin at multiples of it since 1970 in UTC.
    pub slice: Option<NonZeroU32>,
    /// Apart by what the metadata says under these names too.
    pub names: Vec<String>,
}

/// Counts and the head they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tallied {
    /// In no order.
    pub rows: Vec<TallyRow>,
    /// Of the same snapshot.
    pub head: Head,
}

/// How many events are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TallyRow {
    /// Their category.
    pub category: Category,
    /// Their type.
    pub event_type: EventType,
    /// Where the slice of time begins that they fall into; the epoch where none was asked for.
    pub slice: Timestamp,
    /// What their metadata says, by the names that were asked for.
    pub values: Vec<Option<String>>,
    /// How many.
    pub count: u64,
}

impl Tally {
    /// Where the slice begins that a moment falls into.
    pub fn slice_of(&self, time: Timestamp) -> Timestamp {
        let Some(slice) = self.slice else { return Timestamp::EPOCH };
        let length = i64::from(slice.get()) * 1_000_000;
        Timestamp::from_micros(time.as_micros() - time.as_micros().rem_euclid(length))
    }

    /// The length of a slice in microseconds for a database: where none was asked for, one that holds all times from
    /// 1970 on, and one those before.
    pub fn slice_micros(&self) -> i64 {
        self.slice.map_or(1 << 61, |slice| i64::from(slice.get()) * 1_000_000)
    }
}

/// Puts together what is alike.
#[derive(Debug)]
pub struct Tallies<'a> {
    tally: &'a Tally,
    counts: HashMap<Alike, u64>,
}

type Alike = (Category, EventType, Timestamp, Vec<Option<String>>);

impl<'a> Tallies<'a> {
    /// Nothing is counted yet.
    pub fn new(tally: &'a Tally) -> Self {
        Self { tally, counts: HashMap::new() }
    }

    /// Counts an event, if it is wanted.
    pub fn count(&mut self, event: &Event) {
        if self.tally.narrow.holds(event) {
            let names = (event.category.clone(), event.event_type.clone());
            self.add(names.0, names.1, event.time, event.metadata.as_deref(), 1);
        }
    }

    /// Counts events of which a database says that they are wanted and alike; the log's own are left out.
    pub fn add(
        &mut self,
        category: Category,
        event_type: EventType,
        time: Timestamp,
        metadata: Option<&[u8]>,
        count: u64,
    ) {
        if event_type.is_system() {
            return;
        }
        let values = metadata_values(metadata, &self.tally.names);
        *self.counts.entry((category, event_type, self.tally.slice_of(time), values)).or_default() += count;
    }

    /// The counts.
    pub fn rows(self) -> Vec<TallyRow> {
        let row = |((category, event_type, slice, values), count)| TallyRow {
            category,
            event_type,
            slice,
            values,
            count,
        };
        self.counts.into_iter().map(row).collect()
    }
}
