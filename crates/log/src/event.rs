use bytes::Bytes;

use crate::{
    AggregateId, Category, CommitId, DataDigest, Digest, EventId, EventType, Position, StreamName, Timestamp,
    Version, encoding::Encoder,
};

/// The content type of an event's data when none is given.
pub const JSON: &str = "application/json";

/// An event as a caller gives it, after interceptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Unique in the log.
    pub id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// Kept byte for byte.
    pub data: Bytes,
    /// SHA-256 of `data`; computed once, outside every lock.
    pub data_digest: DataDigest,
    /// Media type of `data`.
    pub content_type: String,
    /// A JSON object, kept byte for byte.
    pub metadata: Option<Bytes>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// What caused it.
    pub causation_id: Option<String>,
    /// When it happened, by the caller's clock; absent = when it is recorded.
    pub time: Option<Timestamp>,
}

impl NewEvent {
    /// An event with JSON data and nothing optional.
    pub fn json(id: EventId, event_type: EventType, data: impl Into<Bytes>) -> Self {
        let data = data.into();
        Self {
            id,
            event_type,
            data_digest: DataDigest::of(&data),
            data,
            content_type: JSON.into(),
            metadata: None,
            correlation_id: None,
            causation_id: None,
            time: None,
        }
    }

    /// Bytes that count against the limits: data, metadata and everything else of variable length.
    pub fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.data.len()
            + self.metadata.as_ref().map_or(0, Bytes::len)
            + self.event_type.as_str().len()
            + self.content_type.len()
            + text(&self.correlation_id)
            + text(&self.causation_id)
    }
}

/// An event as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamName,
    /// Its stream's category.
    pub category: Category,
    /// Its stream's aggregate id.
    pub aggregate_id: AggregateId,
    /// Its number in the stream.
    pub version: Version,
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// Byte for byte as given; absent where this source does not keep it.
    pub data: Option<Bytes>,
    /// SHA-256 of the data; stands also where the data does not.
    pub data_digest: DataDigest,
    /// Media type of the data.
    pub content_type: String,
    /// A JSON object, byte for byte as recorded.
    pub metadata: Option<Bytes>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// What caused it.
    pub causation_id: Option<String>,
    /// When it happened, by the caller's clock; `recorded_at` where the caller gave none.
    pub time: Timestamp,
    /// When the primary recorded it; never falls along the log.
    pub recorded_at: Timestamp,
    /// First position of its commit.
    pub first: Position,
    /// Last position of its commit.
    pub last: Position,
    /// Its commit.
    pub commit_id: CommitId,
    /// Hash of all the above but `data`.
    pub digest: Digest,
}

impl Event {
    /// Recomputes the digest from the other fields.
    pub fn compute_digest(&self) -> Digest {
        let mut encoder = Encoder::new("polylog v1 event");
        encoder.number(0); // the lane
        encoder.number(self.position.get());
        encoder.text(self.stream.as_str());
        encoder.text(self.category.as_str());
        encoder.text(self.aggregate_id.as_str());
        encoder.number(self.version.get());
        encoder.bytes(self.id.as_bytes());
        encoder.text(self.event_type.as_str());
        encoder.bytes(self.data_digest.as_bytes());
        encoder.text(&self.content_type);
        encoder.optional(self.metadata.as_deref());
        encoder.optional(self.correlation_id.as_deref().map(str::as_bytes));
        encoder.optional(self.causation_id.as_deref().map(str::as_bytes));
        encoder.time(self.time.as_micros());
        encoder.time(self.recorded_at.as_micros());
        encoder.number(self.first.get());
        encoder.number(self.last.get());
        encoder.bytes(self.commit_id.as_bytes());
        Digest::from_bytes(encoder.hash128())
    }

    /// Whether the log itself wrote it.
    pub fn is_system(&self) -> bool {
        self.event_type.is_system()
    }

    /// Bytes of variable length; what a page is measured by.
    pub fn size(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
            + self.metadata.as_ref().map_or(0, Bytes::len)
            + self.stream.as_str().len()
            + 200
    }
}
