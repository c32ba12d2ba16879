use std::str::FromStr;

use polylog_log::{Order, Position, RecordedEvent, Sought, Timestamp, Words, metadata_values};

use super::{
    best::Key,
    cursor::{Cursor, Fingerprint},
};

/// Most hits of one page, and how many without a word.
pub(crate) const LARGEST_PAGE: usize = 1_000;
const USUAL_PAGE: usize = 100;
/// Most members of the metadata that a search may name.
pub(crate) const MOST_METADATA: usize = 16;

/// A search beyond its filter.
#[derive(Debug)]
pub(crate) struct AskedSearch {
    pub(crate) words: Option<Words>,
    /// Names of metadata, and what must stand there.
    pub(crate) metadata: (Vec<String>, Vec<String>),
    pub(crate) sort: Sort,
    /// `None` = as many as usual.
    pub(crate) limit: Option<usize>,
    /// Where the page before ended.
    pub(crate) after: Option<Cursor>,
    /// What it asks for, without how it is paged.
    pub(crate) fingerprint: Fingerprint,
}

impl AskedSearch {
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL_PAGE)
    }

    /// Refuses a page of another search.
    pub(crate) fn check_page(&self) -> Result<(), &'static str> {
        match self.after {
            Some(after) if after.fingerprint != self.fingerprint => {
                Err("it is of another search; send the same search with it, or begin without it")
            }
            _ => Ok(()),
        }
    }

    /// What an index is asked besides its kind and time.
    pub(super) fn add_to(&self, sought: &mut Sought) {
        let (names, wanted) = self.metadata.clone();
        sought.words = self.words.clone();
        sought.metadata = names.into_iter().zip(wanted).collect();
    }

    /// Whether it looks at what events say.
    pub(super) fn looks_at_content(&self) -> bool {
        self.words.is_some() || !self.metadata.0.is_empty()
    }

    /// How well an event fits, as the caller sees it; `None` = not at all.
    pub(crate) fn score(&self, shown: &RecordedEvent) -> Option<f64> {
        let (names, wanted) = &self.metadata;
        let values = metadata_values(shown.event.metadata.as_deref(), names);
        let fits = values.iter().zip(wanted).all(|(value, wanted)| value.as_ref() == Some(wanted));
        match &self.words {
            _ if !fits => None,
            Some(words) => words.score(&shown.event),
            None => Some(0.0),
        }
    }
}

/// The order of hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sort {
    /// What happened last comes first.
    #[default]
    Newest,
    /// What happened first comes first.
    Oldest,
    /// What fits best comes first, then what happened last.
    Score,
    /// As the log has it.
    Position,
    /// The log backward.
    PositionBackward,
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-time" => Sort::Newest,
            "time" => Sort::Oldest,
            "score" => Sort::Score,
            "position" => Sort::Position,
            "-position" => Sort::PositionBackward,
            _ => return Err("it must be -time, time, score, position or -position"),
        })
    }
}

impl Sort {
    /// The order in which an index gives hits; hits by score are put in order here.
    pub(super) fn of_index(self) -> Order {
        match self {
            Sort::Newest => Order::Newest,
            Sort::Oldest => Order::Oldest,
            Sort::Position | Sort::Score => Order::Position,
            Sort::PositionBackward => Order::PositionBackward,
        }
    }

    /// The time and position of an event whose place in this order is known. By position the time is not, nor needed.
    pub(super) fn at(self, Key([first, second, _]): Key) -> (Timestamp, Position) {
        let (time, position) = match self {
            Sort::Newest => (!first, !second),
            Sort::Oldest => (first, second),
            Sort::Score => (0, 0),
            Sort::Position => (0, first),
            Sort::PositionBackward => (0, !first),
        };
        (Timestamp::from_micros(time), Position::new(position.cast_unsigned()))
    }

    /// Where an event stands in this order; no two stand in the same place.
    pub(super) fn key(self, event: &RecordedEvent, score: f64) -> Key {
        let time = event.event.time.as_micros();
        let position = event.event.position.get().cast_signed();
        // turning all bits around turns the order around, without a number that has no counterpart
        match self {
            Sort::Newest => Key([!time, !position, 0]),
            Sort::Oldest => Key([time, position, 0]),
            // the bits of numbers from zero on stand in the order of the numbers
            Sort::Score => Key([!score.to_bits().cast_signed(), !time, !position]),
            Sort::Position => Key([position, 0, 0]),
            Sort::PositionBackward => Key([!position, 0, 0]),
        }
    }
}
