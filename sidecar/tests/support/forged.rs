//! An event as somebody writes it who knows how digests are made.

use polylog_log::{
    AggregateId, Category, CommitId, DataDigest, Digest, Event, EventId, EventType, Position, StreamName,
    Timestamp, Version,
};
use serde_json::Value;

/// In hexadecimal.
pub struct Other {
    pub data: String,
    pub data_digest: DataDigest,
    pub digest: Digest,
}

/// The event that a client was shown with other data, and the digests that fit. `place`: its commit's id in hexadecimal, first
/// and last position.
pub fn other_event(shown: &Value, place: &str) -> Other {
    let text = |name: &str| shown[name].as_str().unwrap();
    let number = |name: &str| shown[name].as_u64().unwrap();
    let time = |name: &str| Timestamp::parse(text(name)).unwrap();
    let mut place = place.split(' ');
    let commit = uuid::Uuid::parse_str(place.next().unwrap()).unwrap();
    let mut position = || Position::new(place.next().unwrap().parse().unwrap());
    let (first, last) = (position(), position());
    let data = br#"{"number":666}"#;
    let optional = |name: &str| shown[name].as_str().map(str::to_owned);
    let mut event = Event {
        position: Position::new(number("position")),
        stream: StreamName::recorded(text("stream")),
        category: Category::recorded(text("category")),
        aggregate_id: AggregateId::recorded(text("aggregateId")),
        version: Version::new(number("version")),
        id: EventId::new(text("id").parse().unwrap()),
        event_type: EventType::recorded(text("type")),
        data: None,
        data_digest: DataDigest::of(data),
        content_type: text("contentType").into(),
        metadata: shown
            .get("metadata")
            .filter(|metadata| !metadata.is_null())
            .map(|metadata| metadata.to_string().into()),
        correlation_id: optional("correlationId"),
        causation_id: optional("causationId"),
        time: time("time"),
        recorded_at: time("recordedAt"),
        first,
        last,
        commit_id: CommitId::new(commit),
        digest: Digest::from_bytes([0; 16]),
    };
    // what the client was shown is all that the digest covers
    let genuine = DataDigest::of(shown["data"].to_string().as_bytes());
    let known = Event { data_digest: genuine, ..event.clone() };
    assert_eq!(known.compute_digest().to_string(), text("digest"), "the test does not know the event");
    event.digest = event.compute_digest();
    let data = data.iter().map(|byte| format!("{byte:02x}")).collect();
    Other { data, data_digest: event.data_digest, digest: event.digest }
}
