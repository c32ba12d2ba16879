//! Events and commits for cases.

use bytes::Bytes;

use super::Kit;
use crate::{
    Commit, DataDigest, Entry, EventType, Expected, LogId, NewEvent, Point, StreamAppend, StreamName, Version,
};

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::recorded(name)
}

pub(crate) fn version(number: u64) -> Expected {
    Expected::Version(Version::new(number))
}

impl Kit {
    /// An event with a new id and data of its own.
    pub(crate) fn event(&self) -> NewEvent {
        let id = self.event_id();
        NewEvent::json(id, EventType::recorded("Happened"), format!(r#"{{"id": "{id}", "n": 1.50}}"#))
    }

    pub(crate) fn events(&self, count: usize) -> Vec<NewEvent> {
        (0..count).map(|_| self.event()).collect()
    }

    /// A commit of `count` new events to one stream.
    pub(crate) fn commit(&self, log: LogId, name: &str, expected: Expected, count: usize) -> Commit {
        Commit::new(log, vec![StreamAppend::new(stream(name), expected, self.events(count))])
    }
}

pub(crate) fn with_data(event: NewEvent, data: impl Into<Bytes>) -> NewEvent {
    let data = data.into();
    NewEvent { data_digest: DataDigest::of(&data), data, ..event }
}

/// Makes entries follow each other again after a test changed them: recomputes digests and chains from `tail` on.
pub(crate) fn reseal(entries: &mut [Entry], tail: Point) {
    let mut chain = tail.chain;
    for entry in entries {
        for event in &mut entry.events {
            event.digest = event.compute_digest();
        }
        entry.chain = Entry::compute_chain(chain, entry.term, entry.fingerprint, entry.events.iter());
        chain = entry.chain;
    }
}
