//! What a writer remembers.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use polylog_log::{Entry, Facts, Head, Point, Position, StreamHead, StreamName, Timestamp, Wanted};

/// Streams remembered in each of the two generations, of some 200 bytes a stream. One that is not remembered costs a round
/// trip before the swap.
const STREAMS: usize = 8_192;

/// After a lost swap this many batches take the lock: somebody else writes too, and would win again.
const CAUTIOUS: u32 = 32;

/// A clock that was read longer ago than this is read again.
const OLDEST_CLOCK: Duration = Duration::from_secs(10);

/// What the writer knows without asking: guesses, each of which the swap or a unique index proves.
///
/// The head and the streams are those of one moment, that of the head's tail. A swap that finds this very tail (its
/// chain covers the whole history) proves both.
#[derive(Default)]
pub struct Memory {
    head: Option<Head>,
    young: HashMap<StreamName, StreamHead>,
    old: HashMap<StreamName, StreamHead>,
    clock: Option<(Timestamp, Instant)>,
    cautious: u32,
}

impl Memory {
    /// The head to guess with; nothing while others write too.
    pub fn guess(&mut self) -> Option<Head> {
        if self.cautious > 0 {
            self.cautious -= 1;
            return None;
        }
        self.head.clone()
    }

    /// The database's clock as it should stand now, if it was read not long ago.
    pub fn clock(&self) -> Option<Timestamp> {
        let (read, at) = self.clock?;
        let since = at.elapsed();
        let micros = i64::try_from(since.as_micros()).ok()?;
        (since < OLDEST_CLOCK).then(|| Timestamp::from_micros(read.as_micros() + micros))
    }

    /// Remembers what the database's clock says.
    pub fn set_clock(&mut self, read: Timestamp) {
        self.clock = Some((read, Instant::now()));
    }

    /// Moves what is known of the streams into `facts`; gives the others.
    pub fn recall(&mut self, wanted: &Wanted, facts: &mut Facts) -> Vec<StreamName> {
        let mut unknown = Vec::new();
        for stream in &wanted.streams {
            match self.young.get(stream).or_else(|| self.old.get(stream)) {
                Some(head) => drop(facts.streams.insert(stream.clone(), head.clone())),
                None => unknown.push(stream.clone()),
            }
        }
        unknown
    }

    /// Takes over what was written, or only a head, after `before`.
    pub fn remember(&mut self, before: &Point, head: Head, written: &[Entry]) {
        if self.head.as_ref().is_none_or(|known| known.tail != *before) {
            self.forget_streams();
        }
        self.head = Some(head);
        for event in written.iter().flat_map(Entry::stream_ends) {
            let (category, aggregate_id) = (event.category.clone(), event.aggregate_id.clone());
            let stream = StreamHead { version: event.version, category, aggregate_id };
            self.remember_stream(event.stream.clone(), stream);
        }
    }

    /// Takes over what was found at the tail of the remembered head.
    pub fn remember_stream(&mut self, name: StreamName, head: StreamHead) {
        if self.young.len() >= STREAMS {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&name);
        self.young.insert(name, head);
    }

    fn forget_streams(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// What is remembered from before this position is out of date.
    pub fn forget_before(&mut self, tail: Position) {
        if self.head.as_ref().is_some_and(|head| head.tail.position < tail) {
            self.forget();
        }
    }

    /// Nothing is known any more.
    pub fn forget(&mut self) {
        self.head = None;
        self.forget_streams();
    }

    /// Another writer was faster.
    pub fn lost(&mut self) {
        self.forget();
        self.cautious = CAUTIOUS;
    }
}
