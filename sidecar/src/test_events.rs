//! Events for unit tests.

use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, CommitId, DataDigest, Digest, Event, EventId, EventType, Position, StreamName,
    Timestamp, Version,
};
use uuid::Uuid;

/// A payment's event with this data.
pub(crate) fn event(data: &str) -> Event {
    let id = EventId::new(Uuid::from_u128(1));
    let mut event = Event {
        position: Position::new(7),
        stream: StreamName::recorded("Payment-p1"),
        category: Category::recorded("Payment"),
        aggregate_id: AggregateId::recorded("p1"),
        version: Version::new(3),
        id,
        event_type: EventType::recorded("Paid"),
        data: Some(Bytes::copy_from_slice(data.as_bytes())),
        data_digest: DataDigest::of(data.as_bytes()),
        content_type: polylog_log::JSON.into(),
        metadata: Some(Bytes::from_static(br#"{"by":"me"}"#)),
        correlation_id: Some("c1".into()),
        causation_id: None,
        time: Timestamp::from_micros(1_000_000),
        recorded_at: Timestamp::from_micros(2_000_000),
        first: Position::new(7),
        last: Position::new(7),
        commit_id: CommitId::from_events([id].into_iter()),
        digest: Digest::from_bytes([0; 16]),
    };
    event.digest = event.compute_digest();
    event
}
