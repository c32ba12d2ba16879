use crate::{
    AggregateId, Category, Chain, CommitId, EventId, Fingerprint, LogId, NewEvent, Point, Position,
    StreamName, Term, Version, encoding::Encoder,
};

/// What a caller expects of a stream before an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it holds.
    Any,
    /// That it does not exist.
    NoStream,
    /// That it holds at least one event.
    Exists,
    /// That its last event has this version; zero = that it does not exist.
    Version(Version),
}

impl Expected {
    /// Whether a stream at `actual` (zero = it does not exist) is as expected.
    pub fn holds(self, actual: Version) -> bool {
        match self {
            Expected::Any => true,
            Expected::NoStream => actual.is_zero(),
            Expected::Exists => !actual.is_zero(),
            Expected::Version(version) => version == actual,
        }
    }
}

/// One stream's part of a commit. Without events it only checks the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamName,
    /// What must hold for the commit to be written.
    pub expected: Expected,
    /// For the stream's first append; default: from the name. Later: must equal what is recorded.
    pub category: Option<Category>,
    /// For the stream's first append; default: from the name. Later: must equal what is recorded.
    pub aggregate_id: Option<AggregateId>,
    /// In the order in which they will stand.
    pub events: Vec<NewEvent>,
}

impl StreamAppend {
    /// Events for a stream, with nothing optional.
    pub fn new(stream: StreamName, expected: Expected, events: Vec<NewEvent>) -> Self {
        Self { stream, expected, category: None, aggregate_id: None, events }
    }
}

/// Events to be appended together, atomically, over one or several different streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its identity; a retry has the same.
    pub id: CommitId,
    /// What the caller sent, hashed.
    pub fingerprint: Fingerprint,
    /// Each stream at most once.
    pub appends: Vec<StreamAppend>,
}

impl Commit {
    /// A commit whose identity follows from its event ids and whose fingerprint from these very fields.
    pub fn new(log: LogId, appends: Vec<StreamAppend>) -> Self {
        let ids: Vec<EventId> = events_of(&appends).map(|event| event.id).collect();
        Self {
            id: CommitId::from_events(ids.into_iter()),
            fingerprint: Fingerprint::of(log, &appends),
            appends,
        }
    }

    /// All its events, in order.
    pub fn events(&self) -> impl Iterator<Item = &NewEvent> {
        events_of(&self.appends)
    }

    /// Number of its events; zero = it only checks versions.
    pub fn event_count(&self) -> usize {
        self.appends.iter().map(|append| append.events.len()).sum()
    }

    /// Bytes of variable length, as counted against the limits.
    pub fn size(&self) -> usize {
        self.events().map(NewEvent::size).sum()
    }

    /// Whether it puts a configuration in force.
    pub fn configures(&self) -> bool {
        self.events().any(|event| event.event_type.as_str() == crate::CONFIG)
    }

    /// Whether the log itself made it.
    pub fn is_system(&self) -> bool {
        self.appends.iter().any(|append| append.stream.is_system())
    }
}

fn events_of(appends: &[StreamAppend]) -> impl Iterator<Item = &NewEvent> {
    appends.iter().flat_map(|append| &append.events)
}

impl Fingerprint {
    /// Hashes what a caller sent, keyed by the log's id.
    ///
    /// Take it before any interceptor, and without values that came from headers: those differ on an honest retry.
    /// Expected versions, category and aggregate id are not part of it.
    pub fn of(log: LogId, appends: &[StreamAppend]) -> Self {
        let mut encoder = Encoder::new("polylog v1 fingerprint");
        encoder.number(appends.iter().filter(|append| !append.events.is_empty()).count() as u64);
        for append in appends.iter().filter(|append| !append.events.is_empty()) {
            encoder.text(append.stream.as_str());
            encoder.number(append.events.len() as u64);
            for event in &append.events {
                encoder.bytes(event.id.as_bytes());
                encoder.text(event.event_type.as_str());
                encoder.text(&event.content_type);
                encoder.bytes(event.data_digest.as_bytes());
                encoder.optional(event.metadata.as_deref());
                encoder.optional(event.correlation_id.as_deref().map(str::as_bytes));
                encoder.optional(event.causation_id.as_deref().map(str::as_bytes));
                encoder.optional_time(event.time.map(crate::Timestamp::as_micros));
            }
        }
        Self::from_bytes(encoder.keyed128(log.as_bytes()))
    }
}

/// What one stream got in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReceipt {
    /// The stream.
    pub stream: StreamName,
    /// Version of its first event in the commit.
    pub first_version: Version,
    /// Version of its last event in the commit.
    pub last_version: Version,
    /// Position of its first event in the commit.
    pub first_position: Position,
    /// Position of its last event in the commit.
    pub last_position: Position,
}

/// Where a commit stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitReceipt {
    /// Position of its first event.
    pub first: Position,
    /// Position of its last event.
    pub last: Position,
    /// Its term.
    pub term: Term,
    /// The chain at its end.
    pub chain: Chain,
    /// Per stream, in the commit's order; streams that were only checked are not among them.
    pub streams: Vec<StreamReceipt>,
}

impl CommitReceipt {
    /// The end of the commit.
    pub fn point(&self) -> Point {
        Point { position: self.last, term: self.term, chain: self.chain }
    }

    /// The receipt of a recorded entry.
    pub fn of(entry: &crate::Entry) -> Self {
        let mut streams: Vec<StreamReceipt> = Vec::new();
        for event in &entry.events {
            match streams.last_mut().filter(|receipt| receipt.stream == event.stream) {
                Some(receipt) => {
                    (receipt.last_version, receipt.last_position) = (event.version, event.position)
                }
                None => streams.push(StreamReceipt {
                    stream: event.stream.clone(),
                    first_version: event.version,
                    last_version: event.version,
                    first_position: event.position,
                    last_position: event.position,
                }),
            }
        }
        Self { first: entry.first(), last: entry.last(), term: entry.term, chain: entry.chain, streams }
    }
}

/// A commit found in the log by its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCommit {
    /// Where it stands.
    pub receipt: CommitReceipt,
    /// What its caller sent, hashed.
    pub fingerprint: Fingerprint,
    /// Id of its first event, to name it in a conflict.
    pub first_event: EventId,
}
