use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Commit, CommitId, DataDigest, EventId, EventType, Fingerprint, JSON, LogId,
    NewEvent, StreamAppend, StreamName, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Code, ExpectedVersion, IdempotencyKey, RequestError, is_json, json, metadata};

/// Body of an append to one stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, remote = "Self")]
pub struct AppendBody {
    /// What the stream must be at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<ExpectedVersion>,
    /// In the order in which they will stand; none = only check the version.
    pub events: Vec<NewEventBody>,
    /// For the stream's first append; default: its name up to the first `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// For the stream's first append; default: its name after the first `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_id: Option<AggregateId>,
}

/// Body of an append to several streams, all or nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, remote = "Self")]
pub struct CommitsBody {
    /// Each stream at most once.
    pub appends: Vec<StreamAppendBody>,
}

/// One stream's part of a [`CommitsBody`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, remote = "Self")]
pub struct StreamAppendBody {
    /// The stream.
    pub stream: StreamName,
    /// What it must be at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<ExpectedVersion>,
    /// In the order in which they will stand; none = only check the version.
    pub events: Vec<NewEventBody>,
    /// For the stream's first append; default: its name up to the first `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// For the stream's first append; default: its name after the first `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_id: Option<AggregateId>,
}

/// An event as a caller sends it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, remote = "Self")]
pub struct NewEventBody {
    /// Makes a retry harmless; absent: from the idempotency key, else a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// JSON, kept byte for byte; absent = `null`.
    #[serde(default, deserialize_with = "json::some_raw", skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// Instead of `data`: any bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
    /// Media type of the data; needed beside `dataBase64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// A JSON object, kept byte for byte; keys beginning with `$` are reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// When it happened; absent = when it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

json::object_only!(AppendBody, CommitsBody, StreamAppendBody, NewEventBody);

/// What the operation is called where ids derive from an idempotency key. Every way to append is the same operation,
/// so that one key cannot write twice by two ways.
const OPERATION: &str = "append";

/// An idempotency key and whose it is: two callers' keys have nothing to do with each other.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    /// The caller's identity.
    pub scope: &'a str,
    /// The key.
    pub key: &'a IdempotencyKey,
}

impl AppendBody {
    /// Reads a body; see [`parse_json`](crate::parse_json).
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        json::parse(body)
    }

    /// The commit; see [`CommitsBody::into_commit`].
    pub fn into_commit(
        self,
        stream: StreamName,
        log: LogId,
        key: Option<Keyed<'_>>,
        new_id: impl FnMut() -> EventId,
    ) -> Result<Commit, RequestError> {
        let Self { expected_version, events, category, aggregate_id } = self;
        let append = StreamAppendBody { stream, expected_version, events, category, aggregate_id };
        let ids = Ids::of(std::slice::from_ref(&append), log, key, new_id)?;
        commit(vec![append], log, ids, |_| String::new())
    }
}

impl CommitsBody {
    /// Reads a body; see [`parse_json`](crate::parse_json).
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        json::parse(body)
    }

    /// The commit, with identity and fingerprint of what the caller sent: call this before any interceptor changes the
    /// events, and add values that came from headers afterwards, because those differ on an honest retry.
    ///
    /// Events have ids all or none, unless there is a key; without any, `new_id` makes them, and a retry is a new append.
    pub fn into_commit(
        self,
        log: LogId,
        key: Option<Keyed<'_>>,
        new_id: impl FnMut() -> EventId,
    ) -> Result<Commit, RequestError> {
        if self.appends.is_empty() {
            return Err(RequestError::invalid("appends", "must name at least one stream"));
        }
        let mut seen = HashSet::new();
        for (index, append) in self.appends.iter().enumerate() {
            if !seen.insert(&append.stream) {
                let message = format!("stream {} stands in this commit twice", append.stream);
                return Err(RequestError::invalid(format!("appends[{index}].stream"), message));
            }
        }
        let ids = Ids::of(&self.appends, log, key, new_id)?;
        commit(self.appends, log, ids, |index| format!("appends[{index}]"))
    }
}

/// The ids of a commit and of its events in their order.
struct Ids {
    commit: CommitId,
    events: Vec<EventId>,
}

impl Ids {
    fn of(
        appends: &[StreamAppendBody],
        log: LogId,
        key: Option<Keyed<'_>>,
        mut new_id: impl FnMut() -> EventId,
    ) -> Result<Self, RequestError> {
        let given: Vec<Option<EventId>> =
            appends.iter().flat_map(|append| &append.events).map(|event| event.id).collect();
        let missing = given.iter().filter(|id| id.is_none()).count();
        if key.is_none() && missing > 0 && missing < given.len() {
            let message = "give every event of a commit an id, or none (or send an Idempotency-Key)";
            return Err(RequestError::invalid("", message));
        }
        let derive = |index: usize, Keyed { scope, key }: Keyed<'_>| {
            EventId::from_key(log, OPERATION, scope, key.as_str(), index as u64)
        };
        let events: Vec<EventId> = given
            .into_iter()
            .enumerate()
            .map(|(index, id)| id.unwrap_or_else(|| key.map_or_else(&mut new_id, |key| derive(index, key))))
            .collect();
        let mut seen = HashSet::with_capacity(events.len());
        if let Some(twice) = events.iter().find(|id| !seen.insert(**id)) {
            return Err(RequestError::invalid("", format_args!("id {twice} stands in this commit twice")));
        }
        let commit = match key {
            Some(Keyed { scope, key }) => CommitId::from_key(log, OPERATION, scope, key.as_str()),
            None => CommitId::from_events(events.iter().copied()),
        };
        Ok(Self { commit, events })
    }
}

fn commit(
    bodies: Vec<StreamAppendBody>,
    log: LogId,
    ids: Ids,
    place: impl Fn(usize) -> String,
) -> Result<Commit, RequestError> {
    let mut event_ids = ids.events.into_iter();
    let mut appends = Vec::with_capacity(bodies.len());
    for (index, body) in bodies.into_iter().enumerate() {
        appends.push(body.into_append(&mut event_ids).map_err(|error| match place(index) {
            place if place.is_empty() => error,
            place => error.within(&place),
        })?);
    }
    Ok(Commit { id: ids.commit, fingerprint: Fingerprint::of(log, &appends), appends })
}

impl StreamAppendBody {
    fn into_append(self, ids: &mut impl Iterator<Item = EventId>) -> Result<StreamAppend, RequestError> {
        let expected = self.expected_version.ok_or_else(|| RequestError {
            code: Code::ExpectedVersionRequired,
            path: "expectedVersion".into(),
            message: format!("an append to stream {} needs an expected version", self.stream),
        })?;
        let mut events = Vec::with_capacity(self.events.len());
        for (index, (body, id)) in self.events.into_iter().zip(ids).enumerate() {
            events.push(body.into_event(id).map_err(|error| error.within(&format!("events[{index}]")))?);
        }
        let (category, aggregate_id) = (self.category, self.aggregate_id);
        Ok(StreamAppend { stream: self.stream, expected: expected.0, category, aggregate_id, events })
    }
}

impl NewEventBody {
    /// An event of a type with nothing else.
    pub fn new(event_type: EventType) -> Self {
        Self {
            id: None,
            event_type,
            data: None,
            data_base64: None,
            content_type: None,
            metadata: None,
            correlation_id: None,
            causation_id: None,
            time: None,
        }
    }

    /// The event, under this id.
    pub fn into_event(self, id: EventId) -> Result<NewEvent, RequestError> {
        if let Some(metadata) = &self.metadata {
            metadata::check(metadata.get().as_bytes())
                .map_err(|error| RequestError::invalid("metadata", error))?;
        }
        check_attribute("contentType", self.content_type.as_deref())?;
        check_attribute("correlationId", self.correlation_id.as_deref())?;
        check_attribute("causationId", self.causation_id.as_deref())?;
        let (data, content_type) = data(self.data, self.data_base64, self.content_type)?;
        Ok(NewEvent {
            id,
            event_type: self.event_type,
            data_digest: DataDigest::of(&data),
            data,
            content_type,
            metadata: self.metadata.map(verbatim),
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            time: self.time,
        })
    }
}

/// Attributes travel in headers too, where control characters cannot stand. Their length is a matter of the limits.
fn check_attribute(name: &str, value: Option<&str>) -> Result<(), RequestError> {
    match value {
        Some("") => Err(RequestError::invalid(name, "must not be empty; leave it out")),
        Some(value) if value.chars().any(char::is_control) => {
            Err(RequestError::invalid(name, "must not hold control characters"))
        }
        _ => Ok(()),
    }
}

fn data(
    data: Option<Box<RawValue>>,
    base64: Option<String>,
    content_type: Option<String>,
) -> Result<(Bytes, String), RequestError> {
    let is_json_type = content_type.as_deref().is_none_or(is_json);
    match (data, base64) {
        (Some(_), Some(_)) => Err(RequestError::invalid("dataBase64", "give either data or dataBase64")),
        (_, None) if !is_json_type => {
            let message = "data is JSON; send other content as dataBase64, or leave contentType out";
            Err(RequestError::invalid("contentType", message))
        }
        (data, None) => {
            let data = data.map_or(Bytes::from_static(b"null"), verbatim);
            Ok((data, content_type.unwrap_or_else(|| JSON.into())))
        }
        (None, Some(base64)) => {
            let Some(content_type) = content_type else {
                return Err(RequestError::invalid("contentType", "is needed beside dataBase64"));
            };
            let data = STANDARD.decode(base64).map_err(|error| RequestError::invalid("dataBase64", error))?;
            if is_json_type {
                json::check(&data).map_err(|error| {
                    RequestError::invalid("dataBase64", format_args!("{content_type} is not JSON: {error}"))
                })?;
            }
            Ok((data.into(), content_type))
        }
    }
}

fn verbatim(json: Box<RawValue>) -> Bytes {
    let text: Box<str> = json.into();
    Bytes::from(text.into_boxed_bytes())
}
