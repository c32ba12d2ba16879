//! An event for tests.

use polylog_log::{
    AggregateId, Category, Chain, CommitId, DataDigest, Digest, Event, EventId, EventType, JSON, Position,
    RecordedEvent, StreamName, Term, Timestamp, Version,
};

pub(crate) fn recorded(data: &[u8]) -> RecordedEvent {
    let event = Event {
        position: Position::new(184_211),
        stream: StreamName::recorded("Payment-p1"),
        category: Category::recorded("Payment"),
        aggregate_id: AggregateId::recorded("p1"),
        version: Version::new(4),
        id: EventId::from_bytes([0xab; 16]),
        event_type: EventType::recorded("App\\PaymentProcessed"),
        data: Some(data.to_vec().into()),
        data_digest: DataDigest::of(data),
        content_type: JSON.into(),
        metadata: None,
        correlation_id: None,
        causation_id: None,
        time: Timestamp::from_micros(1_795_255_200_000_000),
        recorded_at: Timestamp::from_micros(1_795_255_200_120_000),
        first: Position::new(184_211),
        last: Position::new(184_211),
        commit_id: CommitId::from_bytes([1; 16]),
        digest: Digest::from_bytes([0x0f; 16]),
    };
    RecordedEvent { event, term: Term::new(3), chain: Chain::from_bytes([2; 16]) }
}
