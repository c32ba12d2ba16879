//! Reads everything that a source holds, in every way there is, and compares.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Kit, expect,
    subject::{Checked, Subject, entries_after},
    violation::{ensure, ensure_eq},
};
use crate::{
    CONFIG, Category, Digest, Digests, Entry, FORMAT, Head, Position, ReadCategory, ReadLog, ReadStream,
    RecordedEvent, Source, StreamName, Timestamp, Version,
};

/// At most this many ids, streams and categories are looked up one by one.
const LOOK_UPS: usize = 40;

/// Pages of random limits per kind of read.
const RANDOM_PAGES: usize = 8;

impl Subject {
    /// Checks everything that holds of every log at rest, and returns the log.
    pub(crate) async fn audit(&self) -> Checked<Vec<Entry>> {
        let entries = audit(&self.kit, &*self.source).await.map_err(|found| found.during("audit"))?;
        let head = self.source.head().await?;
        ensure_eq!(head.identity, self.identity, "the head's identity");
        Ok(entries)
    }
}

/// See [`Subject::audit`].
pub(crate) async fn audit(kit: &Kit, source: &dyn Source) -> Checked<Vec<Entry>> {
    let head = source.head().await?;
    let entries = entries_after(source, Position::ZERO).await?;
    chains(&head, &entries)?;
    numbers(&entries)?;
    describes(&head, &entries)?;
    let events = expect::recorded(&entries);
    log_pages(kit, source, &head, &entries).await?;
    streams(kit, source, &head, &events).await?;
    categories(kit, source, &head, &events).await?;
    ids(kit, source, &head, &events).await?;
    digests(kit, source, &events).await?;
    ensure_eq!(source.head().await?, head, "the head after an audit that wrote nothing");
    Ok(entries)
}

fn chains(head: &Head, entries: &[Entry]) -> Checked {
    let mut tail = crate::Point::start(head.identity.log);
    for entry in entries {
        entry.follows(&tail)?;
        tail = entry.point();
    }
    ensure_eq!(head.tail, tail, "the head's tail and the end of the log");
    Ok(())
}

/// Versions are dense, attributes constant, ids unique, times do not fall, nothing belongs to two commits.
fn numbers(entries: &[Entry]) -> Checked {
    let (mut streams, mut ids, mut commits) = (HashMap::new(), HashSet::new(), HashSet::new());
    let mut recorded_at = Timestamp::from_micros(i64::MIN);
    for entry in entries {
        let commit = entry.events[0].commit_id;
        ensure!(commits.insert(commit), "commit {commit} stands twice in the log");
        for event in &entry.events {
            let at = event.position;
            ensure_eq!(event.commit_id, commit, "the commit of the event at position {at}");
            ensure!(ids.insert(event.id), "id {} stands twice in the log, again at position {at}", event.id);
            ensure!(event.recorded_at >= recorded_at, "the time of recording falls at position {at}");
            recorded_at = event.recorded_at;
            let attributes = (&event.category, &event.aggregate_id);
            let (last, recorded) = streams.entry(&event.stream).or_insert((Version::ZERO, attributes));
            ensure_eq!(event.version, last.next(), "the version at position {at} of stream {}", event.stream);
            ensure_eq!(attributes, *recorded, "the attributes at position {at} of stream {}", event.stream);
            *last = event.version;
        }
    }
    Ok(())
}

fn describes(head: &Head, entries: &[Entry]) -> Checked {
    ensure_eq!(head.format, FORMAT, "the head's format");
    let recorded_at = entries.last().map_or(Timestamp::EPOCH, Entry::recorded_at);
    ensure_eq!(head.recorded_at, recorded_at, "the head's time of the last entry");
    ensure!(head.tail.term <= head.term, "the tail has term {}, above the own {}", head.tail.term, head.term);
    ensure!(head.lead <= head.term, "it was opened for term {}, above the own {}", head.lead, head.term);
    let marks = head.watermarks;
    let is_bounded = marks.stable <= head.tail.position && marks.acked <= head.tail.position;
    ensure!(is_bounded, "watermarks {marks:?} are ahead of the tail {}", head.tail.position);
    let mut events = entries.iter().flat_map(|entry| &entry.events);
    let position = events
        .rfind(|event| event.event_type.as_str() == CONFIG)
        .map_or(Position::ZERO, |event| event.position);
    ensure_eq!(head.config.position, position, "the position of the configuration in force");
    let event = entries.iter().flat_map(|entry| &entry.events).find(|event| event.position == position);
    if let Some(data) = event.and_then(|event| event.data.as_deref()) {
        let config = serde_json::from_slice(data).map_err(super::Violation::new)?;
        ensure_eq!(*head.config.config, config, "the configuration in force");
    }
    Ok(())
}

async fn log_pages(kit: &Kit, source: &dyn Source, head: &Head, entries: &[Entry]) -> Checked {
    for max_events in [1, 2, 7] {
        let mut copy = Vec::new();
        let mut from = Position::FIRST;
        while from <= head.tail.position && copy.len() < entries.len() {
            let to = Position::new(u64::MAX);
            let page = source.read_log(ReadLog { from, to, max_events, max_bytes: usize::MAX }).await?;
            ensure!(!page.entries.is_empty(), "a page from position {from} is empty below the tail");
            copy.extend(page.entries);
            from = copy.last().map_or(from, |entry| entry.last().next());
        }
        ensure!(copy == entries, "the log in pages of {max_events} differs from the log in one page");
    }
    for _ in 0..RANDOM_PAGES {
        let tail = head.tail.position.get() as usize;
        let from = Position::new(1 + kit.below(tail + 2) as u64);
        let to = from.plus(kit.below(tail + 2) as u64);
        let (max_events, max_bytes) = (1 + kit.below(20), 1 + kit.below(4_000));
        let read = ReadLog { from, to, max_events, max_bytes };
        let page = source.read_log(read).await?;
        ensure_eq!(page.entries, expect::log_page(entries, read), "the page of {read:?}");
        ensure_eq!(page.head, *head, "the head with a page of the log");
    }
    Ok(())
}

async fn streams(kit: &Kit, source: &dyn Source, head: &Head, events: &[RecordedEvent]) -> Checked {
    let names: BTreeSet<_> = events.iter().map(|recorded| recorded.event.stream.clone()).collect();
    let absent = StreamName::recorded("no-such stream");
    for stream in names.into_iter().take(LOOK_UPS).chain([absent]) {
        let whole = |backward| {
            let from = if backward { Version::new(u64::MAX) } else { Version::FIRST };
            (stream.clone(), from, backward, usize::MAX, usize::MAX)
        };
        let last = events.iter().filter(|recorded| recorded.event.stream == stream).count();
        let from = Version::new(1 + kit.below(last + 2) as u64);
        let random = (stream.clone(), from, kit.once_in(2), 1 + kit.below(5), 1 + kit.below(2_000));
        for (stream, from, backward, max_events, max_bytes) in [whole(false), whole(true), random] {
            let read = ReadStream { stream, from, backward, max_events, max_bytes };
            let page = source.read_stream(read.clone()).await?;
            ensure_eq!(page.events, expect::stream_page(events, &read), "the page of {read:?}");
            ensure_eq!(page.stream, expect::stream_head(events, &read.stream), "the stream of {read:?}");
            ensure_eq!(page.head, *head, "the head with a page of a stream");
        }
    }
    Ok(())
}

async fn categories(kit: &Kit, source: &dyn Source, head: &Head, events: &[RecordedEvent]) -> Checked {
    let names: BTreeSet<_> = events.iter().map(|recorded| recorded.event.category.clone()).collect();
    let absent = Category::recorded("no-such category");
    for category in names.into_iter().take(LOOK_UPS).chain([absent]) {
        let all = Position::FIRST..=Position::new(u64::MAX);
        let tail = head.tail.position.get() as usize;
        let start = 1 + kit.below(tail + 1) as u64;
        let some = Position::new(start)..=Position::new(start + kit.below(tail + 1) as u64);
        let random = (some, kit.once_in(2), 1 + kit.below(5), 1 + kit.below(2_000));
        let whole = |backward| (all.clone(), backward, usize::MAX, usize::MAX);
        for (range, backward, max_events, max_bytes) in [whole(false), whole(true), random] {
            let read = ReadCategory { category: category.clone(), range, backward, max_events, max_bytes };
            let page = source.read_category(read.clone()).await?;
            let holds = expect::category_range(events, &read);
            let expected = expect::limited(&holds, max_events, max_bytes);
            ensure_eq!(page.events, expected, "the page of {read:?}");
            ensure_eq!(page.head, *head, "the head with a page of a category");
            let is_all = expected.len() == holds.len();
            ensure!(!page.is_complete || is_all, "the page of {read:?} is not all of the range");
            let bytes: usize = expected.iter().map(|recorded| recorded.event.size()).sum();
            let is_full = expected.len() == max_events || bytes >= max_bytes;
            ensure!(page.is_complete || is_full, "the page of {read:?} ends early without a reason");
        }
    }
    Ok(())
}

async fn ids(kit: &Kit, source: &dyn Source, head: &Head, events: &[RecordedEvent]) -> Checked {
    let every = events.len().div_ceil(LOOK_UPS).max(1);
    for recorded in events.iter().step_by(every) {
        let found = source.find(recorded.event.id).await?;
        ensure_eq!(found.event.as_ref(), Some(recorded), "the event found by its id");
        ensure_eq!(found.head, *head, "the head with an event found by its id");
    }
    let found = source.find(kit.event_id()).await?;
    ensure_eq!(found.event, None, "the event of an id that was never used");
    Ok(())
}

async fn digests(kit: &Kit, source: &dyn Source, events: &[RecordedEvent]) -> Checked {
    let tail = events.len() as u64;
    let mut ranges = vec![(1, tail), (1, tail + 5), (tail + 1, tail + 2)];
    ranges.extend((0..RANDOM_PAGES).map(|_| {
        let from = 1 + kit.below(events.len() + 1) as u64;
        (from, from + kit.below(events.len() + 1) as u64)
    }));
    for (from, to) in ranges {
        let range = Position::new(from)..=Position::new(to);
        let held = events.iter().filter(|recorded| range.contains(&recorded.event.position));
        let mut expected = Digests { count: 0, combined: Digest::from_bytes([0; 16]), chain: None };
        for recorded in held {
            expected.count += 1;
            expected.combined.combine(recorded.event.digest);
        }
        let last = events.iter().find(|recorded| recorded.event.position == *range.end());
        expected.chain = last.map(|recorded| recorded.chain);
        ensure_eq!(source.digests(range.clone()).await?, expected, "the digests of {range:?}");
    }
    Ok(())
}
