//! Events as documents and back.

use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Chain, CommitId, DataDigest, Digest, Entry, Event, EventId, EventType, Failure,
    Fingerprint, Position, StreamName, Term, Timestamp, Version,
};
pub(crate) use polylog_source_servers::entries::{EntryBuilder, StoredEvent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    queryable::{self, Queryable},
    requests::Fields,
    terms::Terms,
};

/// The fields that are not read back.
pub(crate) const WITHOUT_QUERYABLE: Fields =
    Fields::Excludes(&["eventData", "metadata", "timestamp", "recordedAt", "indexed", "said", "searchText"]);

/// An event without its payload.
pub(crate) const WITHOUT_PAYLOAD: Fields = Fields::Excludes(&[
    "eventData",
    "metadata",
    "timestamp",
    "recordedAt",
    "indexed",
    "said",
    "searchText",
    "rawData",
    "rawMetadata",
]);

/// Bytes in a JSON string.
mod base64_text {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => to.serialize_some(&BASE64_STANDARD.encode(bytes)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
        let Some(text) = Option::<std::borrow::Cow<'de, str>>::deserialize(from)? else { return Ok(None) };
        BASE64_STANDARD.decode(text.as_bytes()).map(|bytes| Some(bytes.into())).map_err(D::Error::custom)
    }
}

/// An event as the head's batch and the quarantine hold it: what is needed to read it back, and no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verbatim {
    position: Position,
    first: Position,
    last: Position,
    term: Term,
    stream: String,
    version: Version,
    aggregate_type: String,
    aggregate_id: String,
    event_type: String,
    event_id: EventId,
    commit_id: CommitId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    digest: Digest,
    chain: Chain,
    data_digest: DataDigest,
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    timestamp_micros: i64,
    recorded_at_micros: i64,
    #[serde(default, with = "base64_text", skip_serializing_if = "Option::is_none")]
    raw_data: Option<Bytes>,
    #[serde(default, with = "base64_text", skip_serializing_if = "Option::is_none")]
    raw_metadata: Option<Bytes>,
}

impl Verbatim {
    pub(crate) fn of(entry: &Entry, event: &Event) -> Self {
        Self {
            position: event.position,
            first: event.first,
            last: event.last,
            term: entry.term,
            stream: event.stream.as_str().into(),
            version: event.version,
            aggregate_type: event.category.as_str().into(),
            aggregate_id: event.aggregate_id.as_str().into(),
            event_type: event.event_type.as_str().into(),
            event_id: event.id,
            commit_id: event.commit_id,
            fingerprint: (event.position == event.first).then_some(entry.fingerprint),
            digest: event.digest,
            chain: entry.chain,
            data_digest: event.data_digest,
            content_type: event.content_type.clone(),
            correlation_id: event.correlation_id.clone(),
            causation_id: event.causation_id.clone(),
            timestamp_micros: event.time.as_micros(),
            recorded_at_micros: event.recorded_at.as_micros(),
            raw_data: event.data.clone(),
            raw_metadata: event.metadata.clone(),
        }
    }

    /// The event, and what its document says of its entry.
    pub(crate) fn read(self) -> StoredEvent {
        let event = Event {
            position: self.position,
            stream: StreamName::recorded(&self.stream),
            category: Category::recorded(&self.aggregate_type),
            aggregate_id: AggregateId::recorded(&self.aggregate_id),
            version: self.version,
            id: self.event_id,
            event_type: EventType::recorded(&self.event_type),
            data: self.raw_data,
            data_digest: self.data_digest,
            content_type: self.content_type,
            metadata: self.raw_metadata,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            time: Timestamp::from_micros(self.timestamp_micros),
            recorded_at: Timestamp::from_micros(self.recorded_at_micros),
            first: self.first,
            last: self.last,
            commit_id: self.commit_id,
            digest: self.digest,
        };
        StoredEvent { event, term: self.term, chain: self.chain, fingerprint: self.fingerprint }
    }
}

/// An event's own document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventDocument<'a> {
    /// Of which log and adoption.
    store: &'a str,
    /// The revision of the head that it was written out from.
    w: u64,
    #[serde(flatten)]
    verbatim: Verbatim,
    #[serde(flatten)]
    terms: Terms,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

impl<'a> EventDocument<'a> {
    /// The document, with the forms that queries need as far as the server takes them.
    pub(crate) fn new(store: &'a str, fence: u64, (entry, event): (&Entry, &Event), of: Queryable) -> Self {
        Self {
            timestamp: queryable::date(event.time),
            recorded_at: queryable::date(event.recorded_at),
            event_data: queryable::data(event, of.payload),
            metadata: queryable::metadata(event, of.payload),
            ..Self::bare(store, fence, (entry, event), of)
        }
    }

    /// The document without those that the server may refuse.
    pub(crate) fn bare(store: &'a str, fence: u64, (entry, event): (&Entry, &Event), of: Queryable) -> Self {
        Self {
            store,
            w: fence,
            verbatim: Verbatim::of(entry, event),
            terms: Terms::of(event, of.full_text),
            timestamp: None,
            recorded_at: None,
            event_data: None,
            metadata: None,
        }
    }

    pub(crate) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain structs with string keys serialise")
    }
}

/// An event of the head's batch.
pub(crate) fn of_batch(entry: &Entry, event: &Event) -> StoredEvent {
    let is_first = event.position == event.first;
    let fingerprint = is_first.then_some(entry.fingerprint);
    StoredEvent { event: event.clone(), term: entry.term, chain: entry.chain, fingerprint }
}

/// Whole entries from their events.
pub(crate) fn entries(events: impl IntoIterator<Item = Verbatim>) -> Result<Vec<Entry>, Failure> {
    let mut builder = EntryBuilder::default();
    let mut entries = Vec::new();
    for event in events {
        entries.extend(builder.push(event.read())?);
    }
    match builder.is_open() {
        true => Err(Failure::Damaged("an entry without its end".into())),
        false => Ok(entries),
    }
}

/// The events of entries, to be stored.
pub(crate) fn verbatim<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Verbatim> {
    let events = |entry: &'a Entry| entry.events.iter().map(move |event| Verbatim::of(entry, event));
    entries.into_iter().flat_map(events).collect()
}
