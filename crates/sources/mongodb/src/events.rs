//! Events as documents and back.

use mongodb::bson::{Bson, Document, doc};
use polylog_log::{
    AggregateId, Category, Chain, CommitId, DataDigest, Digest, Entry, Event, EventId, EventType, Failure,
    Fingerprint, Position, StreamName, Term, Timestamp, Version,
};
pub(crate) use polylog_source_servers::entries::{EntryBuilder, StoredEvent};

use crate::{
    fields::{Fields, binary, date, number, optional, uuid},
    queryable, schema,
};

/// The fields that only queries need: not read back.
pub(crate) fn without_queryable() -> Document {
    doc! { "eventData": 0, "metadata": 0, "timestamp": 0, "recordedAt": 0 }
}

/// What an index tells of an event, without its payload.
pub(crate) fn without_payload() -> Document {
    let mut projection = without_queryable();
    projection.insert("rawData", 0);
    projection.insert("rawMetadata", 0);
    projection
}

/// An event as the head's batch and the quarantine hold it: what is needed to read it back, and no more.
pub(crate) fn verbatim(entry: &Entry, event: &Event) -> Document {
    let is_first = event.position == event.first;
    let blob = |bytes: &Option<bytes::Bytes>| optional(bytes.as_deref().map(binary));
    doc! {
        "position": number(event.position.get()),
        "first": number(event.first.get()),
        "last": number(event.last.get()),
        "term": number(entry.term.get()),
        "stream": event.stream.as_str(),
        "version": number(event.version.get()),
        "aggregateType": event.category.as_str(),
        "aggregateId": event.aggregate_id.as_str(),
        "eventType": event.event_type.as_str(),
        "eventId": uuid(event.id.uuid()),
        "commitId": uuid(event.commit_id.uuid()),
        "fingerprint": optional(is_first.then(|| binary(entry.fingerprint.as_bytes()))),
        "digest": binary(event.digest.as_bytes()),
        "chain": binary(entry.chain.as_bytes()),
        "dataDigest": binary(event.data_digest.as_bytes()),
        "contentType": event.content_type.as_str(),
        "correlationId": optional(event.correlation_id.as_deref()),
        "causationId": optional(event.causation_id.as_deref()),
        "timestampMicros": event.time.as_micros(),
        "recordedAtMicros": event.recorded_at.as_micros(),
        "rawData": blob(&event.data),
        "rawMetadata": blob(&event.metadata),
    }
}

/// An event's own document, written out from the head of a revision.
pub(crate) fn document(entry: &Entry, event: &Event, fence: u64) -> Document {
    let mut document = doc! { "_id": schema::event_id(event.position), "w": number(fence) };
    document.extend(verbatim(entry, event));
    document.insert("timestamp", date(event.time.as_micros()));
    document.insert("recordedAt", date(event.recorded_at.as_micros()));
    document.insert("eventData", queryable::data(event).unwrap_or(Bson::Null));
    document.insert("metadata", queryable::metadata(event).unwrap_or(Bson::Null));
    document
}

/// An event that a truncation is going to remove.
pub(crate) fn quarantined(cut: u64, entry: &Entry, event: &Event) -> Document {
    let mut document = doc! { "_id": schema::quarantine_id(cut, event.position), "cut": number(cut) };
    document.extend(verbatim(entry, event));
    document
}

/// Reads an event back.
pub(crate) fn read(document: &Document) -> Result<StoredEvent, Failure> {
    let fields = Fields::of("an event", document);
    let owned = |field| Ok::<_, Failure>(fields.optional_text(field)?.map(str::to_owned));
    let event = Event {
        position: Position::new(fields.number("position")?),
        stream: StreamName::recorded(fields.text("stream")?),
        category: Category::recorded(fields.text("aggregateType")?),
        aggregate_id: AggregateId::recorded(fields.text("aggregateId")?),
        version: Version::new(fields.number("version")?),
        id: EventId::new(fields.uuid("eventId")?),
        event_type: EventType::recorded(fields.text("eventType")?),
        data: fields.optional_blob("rawData")?,
        data_digest: DataDigest::from_bytes(fields.bytes("dataDigest")?),
        content_type: fields.text("contentType")?.to_owned(),
        metadata: fields.optional_blob("rawMetadata")?,
        correlation_id: owned("correlationId")?,
        causation_id: owned("causationId")?,
        time: Timestamp::from_micros(fields.signed("timestampMicros")?),
        recorded_at: Timestamp::from_micros(fields.signed("recordedAtMicros")?),
        first: Position::new(fields.number("first")?),
        last: Position::new(fields.number("last")?),
        commit_id: CommitId::new(fields.uuid("commitId")?),
        digest: Digest::from_bytes(fields.bytes("digest")?),
    };
    let fingerprint = fields.optional_bytes("fingerprint")?.map(Fingerprint::from_bytes);
    let (term, chain) = (Term::new(fields.number("term")?), Chain::from_bytes(fields.bytes("chain")?));
    Ok(StoredEvent { event, term, chain, fingerprint })
}

/// An event of the head's batch.
pub(crate) fn of_batch(entry: &Entry, event: &Event) -> StoredEvent {
    let is_first = event.position == event.first;
    let fingerprint = is_first.then_some(entry.fingerprint);
    StoredEvent { event: event.clone(), term: entry.term, chain: entry.chain, fingerprint }
}
