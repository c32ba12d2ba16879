use std::ops::RangeInclusive;

use polylog_log::{
    Category, CategoryPage, Entry, EventId, Failure, FoundEvent, LogPage, Position, ReadCategory, ReadLog,
    ReadStream, RecordedEvent, Select, Selected, StreamHead, StreamName, StreamPage, Version,
};

use super::{Guess, Page, Read, Room, Sized};
use crate::entries::{EntryBuilder, StoredEvent};

/// Whole entries of the log.
pub struct LogEntries {
    from: Position,
    to: Position,
    next: Position,
    room: Room,
    builder: EntryBuilder,
    entries: Vec<Entry>,
}

impl LogEntries {
    /// Nothing is taken yet.
    pub fn new(read: &ReadLog, guess: Guess) -> Self {
        let from = read.from.max(Position::FIRST);
        let room = Room::new(read.max_events, read.max_bytes, guess);
        Self { from, to: read.to, next: from, room, builder: EntryBuilder::default(), entries: Vec::new() }
    }

    /// Where the next part begins; in the first, the entry that holds this position.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Whether the next part begins in the middle of an entry that is still to be found from its beginning.
    pub fn is_at_the_beginning(&self) -> bool {
        self.entries.is_empty() && !self.builder.is_open()
    }

    /// What was read, as it is answered.
    ///
    /// # Errors
    /// `Damaged`: the log has no entry that ends at its tail.
    pub fn answer(read: Read<Self>) -> Result<Sized<LogPage>, Failure> {
        let Read { page, head, is_complete, .. } = read;
        let tail = head.tail.position;
        if is_complete && page.from <= tail {
            let end = page.entries.last().map(Entry::last);
            if page.builder.is_open() || end != Some(tail) {
                let message = format!("the log has no entry that ends at its tail {tail}");
                return Err(Failure::Damaged(message));
            }
        }
        let average = page.room.average();
        Ok((LogPage { entries: page.entries, head }, average))
    }
}

impl Page for LogEntries {
    fn room(&self) -> &Room {
        &self.room
    }

    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        let position = stored.event.position;
        let is_full = !self.entries.is_empty() && self.room.is_used_up();
        if !self.builder.is_open() && (position > self.to || is_full) {
            return Ok(false);
        }
        if self.next < position && !self.entries.is_empty() {
            return Err(Failure::Damaged(format!("a hole in the log before position {position}")));
        }
        self.room.use_for(&stored.event);
        self.next = position.next();
        self.entries.extend(self.builder.push(stored)?);
        Ok(true)
    }
}

/// Events of a stream.
pub struct StreamEvents {
    /// The stream.
    pub stream: StreamName,
    /// Where the next part begins.
    pub next: Version,
    /// Whether versions go down.
    pub backward: bool,
    events: Events,
}

impl StreamEvents {
    /// Nothing is taken yet.
    pub fn new(read: &ReadStream, guess: Guess) -> Self {
        let events = Events::new(Room::new(read.max_events, read.max_bytes, guess));
        Self { stream: read.stream.clone(), next: read.from, backward: read.backward, events }
    }

    /// What was read, as it is answered, with the stream's end, which the engine reads from the note.
    pub fn answer(read: Read<Self>, stream: Option<StreamHead>) -> Sized<StreamPage> {
        let average = read.page.events.room.average();
        (StreamPage { events: read.page.events.taken, stream, head: read.head }, average)
    }
}

impl Page for StreamEvents {
    fn room(&self) -> &Room {
        &self.events.room
    }

    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        let version = stored.event.version;
        if !self.events.take(stored) {
            return Ok(false);
        }
        self.next = if self.backward { version.previous() } else { version.next() };
        Ok(true)
    }
}

/// Events of a category.
pub struct CategoryEvents {
    /// The category.
    pub category: Category,
    /// The positions of the next part.
    pub range: RangeInclusive<Position>,
    /// Whether positions go down.
    pub backward: bool,
    events: Events,
}

impl CategoryEvents {
    /// Nothing is taken yet.
    pub fn new(read: &ReadCategory, guess: Guess) -> Self {
        let events = Events::new(Room::new(read.max_events, read.max_bytes, guess));
        Self { category: read.category.clone(), range: read.range.clone(), backward: read.backward, events }
    }

    /// What was read, as it is answered.
    pub fn answer(read: Read<Self>) -> Sized<CategoryPage> {
        let (events, is_complete) = (read.page.events, read.is_complete);
        let average = events.room.average();
        (CategoryPage { events: events.taken, is_complete, head: read.head }, average)
    }
}

impl Page for CategoryEvents {
    fn room(&self) -> &Room {
        &self.events.room
    }

    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        let position = stored.event.position;
        if !self.events.take(stored) {
            return Ok(false);
        }
        self.range = if self.backward {
            *self.range.start()..=position.previous()
        } else {
            position.next()..=*self.range.end()
        };
        Ok(true)
    }
}

/// Events that a search looks at.
pub struct SelectedEvents {
    /// What is asked for, from where the next part begins.
    pub select: Select,
    first: Position,
    events: Events,
}

impl SelectedEvents {
    /// Nothing is taken yet.
    pub fn new(select: &Select, guess: Guess) -> Self {
        let events = Events::new(Room::new(select.max_events, select.max_bytes, guess));
        Self { select: select.clone(), first: *select.range.start(), events }
    }

    /// What was read, as it is answered.
    pub fn answer(read: Read<Self>) -> Sized<Selected> {
        let SelectedEvents { select, first, events } = read.page;
        let average = events.room.average();
        let select = Select { range: first..=*select.range.end(), ..select };
        (Selected::of(&select, events.taken, read.is_complete, read.head), average)
    }
}

impl Page for SelectedEvents {
    fn room(&self) -> &Room {
        &self.events.room
    }

    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        let position = stored.event.position;
        if !self.events.take(stored) {
            return Ok(false);
        }
        self.select.range = position.next()..=*self.select.range.end();
        Ok(true)
    }
}

/// The event with an id.
pub struct EventById {
    /// The id.
    pub id: EventId,
    events: Events,
}

impl EventById {
    /// Nothing is taken yet.
    pub fn new(id: EventId) -> Self {
        Self { id, events: Events::new(Room::new(1, usize::MAX, Guess { average: 1, most_rows: 1 })) }
    }

    /// What was read, as it is answered.
    pub fn answer(mut read: Read<Self>) -> FoundEvent {
        FoundEvent { event: read.page.events.taken.pop(), head: read.head }
    }
}

impl Page for EventById {
    fn room(&self) -> &Room {
        &self.events.room
    }

    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        Ok(self.events.take(stored))
    }
}

/// Events up to a number and a size; the first one always, however large.
struct Events {
    room: Room,
    taken: Vec<RecordedEvent>,
}

impl Events {
    fn new(room: Room) -> Self {
        Self { room, taken: Vec::new() }
    }

    /// `false` = it is not wanted.
    fn take(&mut self, stored: StoredEvent) -> bool {
        if self.room.is_used_up() && !self.taken.is_empty() || self.room.allows_no_event() {
            return false;
        }
        let StoredEvent { event, term, chain, .. } = stored;
        self.room.use_for(&event);
        self.taken.push(RecordedEvent { event, term, chain });
        true
    }
}
