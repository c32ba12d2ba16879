//! How much of a page is still wanted, and how many rows to ask for.

use polylog_log::Event;

/// Fewer rows than this are never asked for: the way there and back costs more.
const LEAST: usize = 16;

/// What one statement asks for, before anything of the page is known.
#[derive(Debug, Clone, Copy)]
pub struct Guess {
    /// Bytes that an event had on average when the last page was read.
    pub average: usize,
    /// Rows of one statement at most.
    pub most_rows: usize,
}

/// What is still wanted of a page.
#[derive(Debug, Clone)]
pub struct Room {
    max_events: usize,
    max_bytes: usize,
    events: usize,
    bytes: usize,
    guess: Guess,
}

impl Room {
    /// Room for so many events and bytes.
    pub fn new(max_events: usize, max_bytes: usize, guess: Guess) -> Self {
        Self { max_events, max_bytes, events: 0, bytes: 0, guess }
    }

    /// Whether no more fits.
    pub fn is_used_up(&self) -> bool {
        self.events >= self.max_events || self.bytes >= self.max_bytes
    }

    /// Whether not even the first event is wanted.
    pub fn allows_no_event(&self) -> bool {
        self.max_events == 0
    }

    /// Takes the room of an event.
    pub fn use_for(&mut self, event: &Event) {
        self.events += 1;
        self.bytes += event.size();
    }

    /// Bytes of an event on average.
    pub fn average(&self) -> usize {
        self.bytes.checked_div(self.events).unwrap_or(self.guess.average).max(1)
    }

    /// About as many rows as fit: what is asked for and not used has crossed the network in vain.
    pub fn rows(&self) -> usize {
        let by_bytes = self.max_bytes.saturating_sub(self.bytes) / self.average();
        let by_events = self.max_events.saturating_sub(self.events);
        by_bytes.saturating_add(1).min(by_events).max(LEAST).min(self.guess.most_rows.max(1))
    }
}
