use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    AggregateId, Category, Commit, CommitId, CommitReceipt, Config, ConfigPoint, Digest, Entry, Event,
    EventId, Expected, Head, NewEvent, Point, Position, RecordedCommit, Rule, Rules, StreamAppend,
    StreamName, Timestamp, Version, system,
};

/// The last event of a stream, and the stream's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// Version of the last event.
    pub version: Version,
    /// Its category, set by the first append.
    pub category: Category,
    /// Its aggregate id, set by the first append.
    pub aggregate_id: AggregateId,
}

/// What the log holds of the things that a batch names; read under the head's lock, or proven unchanged by the swap.
#[derive(Debug, Default)]
pub struct Facts {
    /// Of the batch's commit ids, those that are recorded.
    pub commits: HashMap<CommitId, RecordedCommit>,
    /// Of the batch's streams, those that exist.
    pub streams: HashMap<StreamName, StreamHead>,
    /// Of the batch's event ids, those that are recorded, with their place.
    pub events: HashMap<EventId, (StreamName, Position)>,
}

/// What an engine looks up before it decides a batch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Commits by id.
    pub commits: Vec<CommitId>,
    /// Streams by name, each once.
    pub streams: Vec<StreamName>,
    /// Events by id.
    pub events: Vec<EventId>,
}

impl Wanted {
    /// What deciding these commits needs.
    pub fn by_batch(batch: &[Commit]) -> Self {
        let mut seen = HashSet::new();
        let streams = batch.iter().flat_map(|commit| &commit.appends).map(|append| &append.stream);
        Self {
            commits: batch.iter().filter(|commit| commit.event_count() > 0).map(|commit| commit.id).collect(),
            streams: streams.filter(|stream| seen.insert(*stream)).cloned().collect(),
            events: batch.iter().flat_map(Commit::events).map(|event| event.id).collect(),
        }
    }

    /// What opening a term needs.
    pub fn by_open() -> Self {
        Self { streams: vec![StreamName::recorded(system::TERM)], ..Self::default() }
    }
}

/// A stream that was not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionConflict {
    /// The stream.
    pub stream: StreamName,
    /// What the caller expected.
    pub expected: Expected,
    /// The version it has; zero = it does not exist.
    pub actual: Version,
}

/// What became of one commit of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Written now.
    Committed(CommitReceipt),
    /// Written before, by an earlier try: the first result.
    Duplicate(CommitReceipt),
    /// A check-only commit whose expectations held at this tail; nothing was written.
    Checked(Point),
    /// At least one stream was not as expected; nothing was written. Read what was missed and decide again.
    VersionConflict {
        /// Every stream that was not as expected.
        conflicts: Vec<VersionConflict>,
        /// The tail on which this rests.
        at: Point,
    },
    /// An id stands in the log with other content, or only some ids of the commit do; nothing was written.
    IdConflict {
        /// The id.
        id: EventId,
        /// Its stream.
        stream: StreamName,
        /// Its position.
        position: Position,
        /// The tail on which this rests.
        at: Point,
    },
    /// The commit names another category or aggregate id than the stream has; nothing was written.
    OtherAttributes {
        /// The stream.
        stream: StreamName,
        /// What it has.
        recorded: StreamHead,
        /// The tail on which this rests.
        at: Point,
    },
    /// The commit names a stream twice; nothing was written. Put the stream's events together.
    StreamTwice {
        /// The stream.
        stream: StreamName,
        /// The tail on which this rests.
        at: Point,
    },
}

/// A batch put in order after a head: pure, so that every engine decides alike.
pub(crate) struct Sequencer<'a> {
    head: Head,
    facts: &'a Facts,
    rules: Rules,
    recorded_at: Timestamp,
    written: HashMap<CommitId, RecordedCommit>,
    streams: HashMap<StreamName, StreamHead>,
    ids: HashMap<EventId, (StreamName, Position)>,
    entries: Vec<Entry>,
}

impl<'a> Sequencer<'a> {
    pub(crate) fn new(head: Head, facts: &'a Facts, clock: Timestamp, rules: Rules) -> Self {
        let recorded_at = if rules.on(Rule::RecordedAtRises) { clock.max(head.recorded_at) } else { clock };
        let (written, streams, ids) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { head, facts, rules, recorded_at, written, streams, ids, entries: Vec::new() }
    }

    /// The head after the batch, and what to write.
    pub(crate) fn finish(self) -> (Head, Vec<Entry>) {
        (self.head, self.entries)
    }

    pub(crate) fn commit(&mut self, commit: &Commit) -> Verdict {
        if let Some(verdict) = self.recognise(commit) {
            return verdict;
        }
        if let Some(stream) = self.stream_twice(commit) {
            return Verdict::StreamTwice { stream: stream.clone(), at: self.head.tail };
        }
        let conflicts = self.conflicts(commit);
        if let Some((id, (stream, position))) = self.known_id(commit) {
            return Verdict::IdConflict { id, stream, position, at: self.head.tail };
        }
        if !conflicts.is_empty() {
            return Verdict::VersionConflict { conflicts, at: self.head.tail };
        }
        if let Some((stream, recorded)) = self.other_attributes(commit) {
            return Verdict::OtherAttributes { stream, recorded, at: self.head.tail };
        }
        if commit.event_count() == 0 {
            return Verdict::Checked(self.head.tail);
        }
        let entry = self.number(commit);
        let receipt = CommitReceipt::of(&entry);
        self.remember(commit, &entry, receipt.clone());
        self.entries.push(entry);
        Verdict::Committed(receipt)
    }

    fn recognise(&self, commit: &Commit) -> Option<Verdict> {
        if commit.event_count() == 0 || !self.rules.on(Rule::CommitLookup) {
            return None;
        }
        let recorded = self.written.get(&commit.id).or_else(|| self.facts.commits.get(&commit.id))?;
        if recorded.fingerprint == commit.fingerprint || !self.rules.on(Rule::FingerprintCheck) {
            return Some(Verdict::Duplicate(recorded.receipt.clone()));
        }
        let stream = recorded.receipt.streams.first()?.stream.clone();
        let (id, position) = (recorded.first_event, recorded.receipt.first);
        Some(Verdict::IdConflict { id, stream, position, at: self.head.tail })
    }

    fn stream_twice<'c>(&self, commit: &'c Commit) -> Option<&'c StreamName> {
        if commit.appends.len() < 2 {
            return None;
        }
        let mut seen = HashSet::with_capacity(commit.appends.len());
        let twice = commit.appends.iter().map(|append| &append.stream).find(|stream| !seen.insert(*stream));
        twice.filter(|_| self.rules.on(Rule::StreamOnce))
    }

    fn stream(&self, stream: &StreamName) -> Option<&StreamHead> {
        self.streams.get(stream).or_else(|| self.facts.streams.get(stream))
    }

    fn version(&self, stream: &StreamName) -> Version {
        self.stream(stream).map_or(Version::ZERO, |head| head.version)
    }

    fn conflicts(&self, commit: &Commit) -> Vec<VersionConflict> {
        if !self.rules.on(Rule::VersionCheck) {
            return Vec::new();
        }
        let conflict = |append: &StreamAppend| {
            let actual = self.version(&append.stream);
            let conflict =
                VersionConflict { stream: append.stream.clone(), expected: append.expected, actual };
            (!append.expected.holds(actual)).then_some(conflict)
        };
        commit.appends.iter().filter_map(conflict).collect()
    }

    fn known_id(&self, commit: &Commit) -> Option<(EventId, (StreamName, Position))> {
        if !self.rules.on(Rule::EventIdUnique) {
            return None;
        }
        // most commits have one event
        let count = commit.event_count();
        let mut own = (count > 1).then(|| HashSet::with_capacity(count));
        for append in &commit.appends {
            for event in &append.events {
                if let Some(place) = self.ids.get(&event.id).or_else(|| self.facts.events.get(&event.id)) {
                    return Some((event.id, place.clone()));
                }
                if own.as_mut().is_some_and(|own| !own.insert(event.id)) {
                    return Some((event.id, (append.stream.clone(), Position::ZERO)));
                }
            }
        }
        None
    }

    fn other_attributes(&self, commit: &Commit) -> Option<(StreamName, StreamHead)> {
        if !self.rules.on(Rule::StreamAttributes) {
            return None;
        }
        commit.appends.iter().find_map(|append| {
            let recorded = self.stream(&append.stream)?;
            let other_category =
                append.category.as_ref().is_some_and(|category| *category != recorded.category);
            let other_id = append.aggregate_id.as_ref().is_some_and(|id| *id != recorded.aggregate_id);
            (other_category || other_id).then(|| (append.stream.clone(), recorded.clone()))
        })
    }

    fn number(&mut self, commit: &Commit) -> Entry {
        let hole = u64::from(!self.rules.on(Rule::DensePositions));
        let first = self.head.tail.position.plus(1 + hole);
        let last = first.plus(commit.event_count() as u64).previous();
        let mut position = first;
        let mut events = Vec::with_capacity(commit.event_count());
        for append in &commit.appends {
            let attributes = self.attributes(append);
            let mut version = self.version(&append.stream);
            for event in &append.events {
                version = version.next();
                let place = Place { position, version, first, last, commit: commit.id };
                events.push(record(append, &attributes, event, place, self.recorded_at));
                position = position.next();
            }
        }
        let (term, fingerprint) = (self.head.term, commit.fingerprint);
        let chain = Entry::compute_chain(self.head.tail.chain, term, fingerprint, events.iter());
        Entry { term, fingerprint, events, chain }
    }

    fn attributes(&self, append: &StreamAppend) -> (Category, AggregateId) {
        match self.stream(&append.stream) {
            Some(recorded) => (recorded.category.clone(), recorded.aggregate_id.clone()),
            None => (
                append.category.clone().unwrap_or_else(|| append.stream.default_category()),
                append.aggregate_id.clone().unwrap_or_else(|| append.stream.default_aggregate_id()),
            ),
        }
    }

    fn remember(&mut self, commit: &Commit, entry: &Entry, receipt: CommitReceipt) {
        for event in &entry.events {
            self.ids.insert(event.id, (event.stream.clone(), event.position));
        }
        for event in entry.stream_ends() {
            let (category, aggregate_id) = (event.category.clone(), event.aggregate_id.clone());
            self.streams
                .insert(event.stream.clone(), StreamHead { version: event.version, category, aggregate_id });
        }
        let first_event = entry.events[0].id;
        self.written
            .insert(commit.id, RecordedCommit { receipt, fingerprint: commit.fingerprint, first_event });
        self.head.tail = entry.point();
        self.head.recorded_at = self.recorded_at;
        if let Some(config) = config_of(entry).filter(|_| self.rules.on(Rule::ConfigFollowsLog)) {
            self.head.config = config;
        }
    }
}

/// The configuration that an entry puts in force, if it holds one.
pub(crate) fn config_of(entry: &Entry) -> Option<ConfigPoint> {
    let event = entry.events.iter().find(|event| event.event_type.as_str() == system::CONFIG)?;
    let config = Config::parse(event.data.as_deref()?).ok()?;
    Some(ConfigPoint { position: event.position, config: Arc::new(config) })
}

struct Place {
    position: Position,
    version: Version,
    first: Position,
    last: Position,
    commit: CommitId,
}

fn record(
    append: &StreamAppend,
    (category, aggregate_id): &(Category, AggregateId),
    event: &NewEvent,
    place: Place,
    recorded_at: Timestamp,
) -> Event {
    let mut event = Event {
        position: place.position,
        stream: append.stream.clone(),
        category: category.clone(),
        aggregate_id: aggregate_id.clone(),
        version: place.version,
        id: event.id,
        event_type: event.event_type.clone(),
        data: Some(event.data.clone()),
        data_digest: event.data_digest,
        content_type: event.content_type.clone(),
        metadata: event.metadata.clone(),
        correlation_id: event.correlation_id.clone(),
        causation_id: event.causation_id.clone(),
        time: event.time.unwrap_or(recorded_at),
        recorded_at,
        first: place.first,
        last: place.last,
        commit_id: place.commit,
        digest: Digest::from_bytes([0; 16]),
    };
    event.digest = event.compute_digest();
    event
}

#[cfg(test)]
mod tests;
