//! What pages of a known log must hold.

use crate::{Entry, ReadCategory, ReadLog, ReadStream, RecordedEvent, StreamHead, StreamName};

/// The page that a read of these entries must give.
pub(crate) fn log_page(entries: &[Entry], read: ReadLog) -> Vec<Entry> {
    let (mut events, mut bytes) = (0, 0);
    let held = entries.iter().skip_while(|entry| entry.last() < read.from);
    held.enumerate()
        .take_while(|(index, entry)| {
            let fits = events < read.max_events && bytes < read.max_bytes && entry.first() <= read.to;
            (events, bytes) = (events + entry.events.len(), bytes + entry.size());
            fits || *index == 0
        })
        .map(|(_, entry)| entry.clone())
        .collect()
}

/// Every event with the term and chain of its entry.
pub(crate) fn recorded(entries: &[Entry]) -> Vec<RecordedEvent> {
    let of = |entry: &Entry| {
        let (term, chain) = (entry.term, entry.chain);
        let events = entry.events.clone().into_iter();
        events.map(move |event| RecordedEvent { event, term, chain })
    };
    entries.iter().flat_map(of).collect()
}

/// The page that a read of a stream must give.
pub(crate) fn stream_page(events: &[RecordedEvent], read: &ReadStream) -> Vec<RecordedEvent> {
    let of_stream = events.iter().filter(|recorded| recorded.event.stream == read.stream);
    let wanted: Vec<_> = if read.backward {
        let mut events: Vec<_> = of_stream.filter(|recorded| recorded.event.version <= read.from).collect();
        events.reverse();
        events
    } else {
        of_stream.filter(|recorded| recorded.event.version >= read.from).collect()
    };
    limited(wanted, read.max_events, read.max_bytes)
}

/// Every event that a read of a category may give.
pub(crate) fn category_range(events: &[RecordedEvent], read: &ReadCategory) -> Vec<RecordedEvent> {
    let in_range = |recorded: &&RecordedEvent| {
        recorded.event.category == read.category && read.range.contains(&recorded.event.position)
    };
    let mut found: Vec<_> = events.iter().filter(in_range).cloned().collect();
    if read.backward {
        found.reverse();
    }
    found
}

/// As many of these as the limits allow.
pub(crate) fn limited<'a>(
    events: impl IntoIterator<Item = &'a RecordedEvent>,
    max_events: usize,
    max_bytes: usize,
) -> Vec<RecordedEvent> {
    let mut bytes = 0;
    let fits = |recorded: &&RecordedEvent| {
        let fits = bytes < max_bytes;
        bytes += recorded.event.size();
        fits
    };
    events.into_iter().take(max_events).take_while(fits).cloned().collect()
}

/// The head that a stream must have.
pub(crate) fn stream_head(events: &[RecordedEvent], stream: &StreamName) -> Option<StreamHead> {
    let last = events.iter().rfind(|recorded| recorded.event.stream == *stream)?;
    let event = &last.event;
    let (category, aggregate_id) = (event.category.clone(), event.aggregate_id.clone());
    Some(StreamHead { version: event.version, category, aggregate_id })
}
