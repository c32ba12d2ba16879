//! The last events of the log in memory, so that a hundred followers at its end cost one read and not a hundred.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use polylog_log::{Chain, Entry, Point, RecordedEvent};
use tokio::sync::watch;

use crate::PageLimits;

/// What an event takes in memory beyond its variable parts.
const EVENT_OVERHEAD: usize = 512;

/// A bounded window that ends where the log ended when it was last read.
#[derive(Debug)]
pub(crate) struct Recent {
    most_bytes: usize,
    window: Mutex<Option<Window>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Window {
    /// Position before the first event held, with term and chain of the entry that holds it.
    before: Point,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
    /// The end of the last entry.
    end: Point,
}

/// What a cursor finds in the window.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// Events after the cursor that it shows, and where it stands then.
    Events(Vec<Arc<RecordedEvent>>, Point),
    /// It stands at the window's end.
    End,
    /// It stands after the window's end: it was read ahead of the window, or the log became shorter.
    Ahead,
    /// It stands before the window, or there is none.
    Gone,
    /// The window holds another history at its position.
    OtherHistory,
}

impl Recent {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, window: Mutex::new(None), changed: watch::Sender::new(0) }
    }

    /// Begins an empty window.
    pub(crate) fn begin(&self, at: Point) {
        let window = Window { before: at, events: VecDeque::new(), bytes: 0, end: at };
        *self.window.lock() = Some(window);
        self.announce();
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        if self.window.lock().take().is_some() {
            self.announce();
        }
    }

    /// Where the window ends.
    pub(crate) fn end(&self) -> Option<Point> {
        self.window.lock().as_ref().map(|window| window.end)
    }

    /// Adds entries that continue the window; tells whether they do.
    pub(crate) fn extend(&self, entries: Vec<Entry>) -> bool {
        let mut guard = self.window.lock();
        let Some(window) = guard.as_mut() else { return false };
        for entry in entries {
            if !continues(&entry, window.end) {
                return false;
            }
            window.end = entry.point();
            for event in recorded(entry) {
                window.bytes += event.event.size() + EVENT_OVERHEAD;
                window.events.push_back(Arc::new(event));
            }
        }
        while window.bytes > self.most_bytes
            && let Some(oldest) = window.events.pop_front()
        {
            window.bytes -= oldest.event.size() + EVENT_OVERHEAD;
            window.before = place_of(&oldest);
        }
        drop(guard);
        self.announce();
        true
    }

    /// What comes after a cursor.
    pub(crate) fn after(&self, cursor: Point, limits: PageLimits, include_system: bool) -> Found {
        let guard = self.window.lock();
        let Some(window) = guard.as_ref().filter(|window| cursor.position >= window.before.position) else {
            return Found::Gone;
        };
        let skip = (cursor.position.get() - window.before.position.get()) as usize;
        if skip > window.events.len() {
            return Found::Ahead;
        }
        let own_chain = match skip.checked_sub(1) {
            None => window.before.chain,
            Some(index) => window.events[index].chain,
        };
        if own_chain != cursor.chain {
            return Found::OtherHistory;
        }
        if skip == window.events.len() {
            return Found::End;
        }
        let (mut events, mut bytes, mut at) = (Vec::new(), 0, cursor);
        for event in window.events.range(skip..) {
            if events.len() >= limits.events.max(1) || (!events.is_empty() && bytes >= limits.bytes) {
                break;
            }
            at = place_of(event);
            if include_system || !event.event.is_system() {
                bytes += event.event.size();
                events.push(event.clone());
            }
        }
        Found::Events(events, at)
    }

    /// Changes whenever the window does.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn announce(&self) {
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

/// Whether an entry is the next one of a history that stands at `previous`, the end of an entry.
pub(crate) fn continues(entry: &Entry, previous: Point) -> bool {
    entry.first() == previous.position.next() && chain_after(entry, previous.chain) == entry.chain
}

fn chain_after(entry: &Entry, previous: Chain) -> Chain {
    Entry::compute_chain(previous, entry.term, entry.fingerprint, entry.events.iter())
}

/// An entry's events, each with the entry's term and chain.
pub(crate) fn recorded(entry: Entry) -> impl DoubleEndedIterator<Item = RecordedEvent> {
    let Entry { term, chain, events, .. } = entry;
    events.into_iter().map(move |event| RecordedEvent { event, term, chain })
}

/// An event's position, with term and chain of its entry.
pub(crate) fn place_of(event: &RecordedEvent) -> Point {
    Point { position: event.event.position, term: event.term, chain: event.chain }
}

#[cfg(test)]
mod tests;
