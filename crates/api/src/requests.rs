use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Commit, EventId, EventType, JSON, LogId, NewEvent, StreamName, Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{
    ExpectedVersion, RequestError,
    commit::{self, EventDraft, EventParts, Keyed, MOST_EVENTS, StreamDraft},
    is_json, json,
};

/// Body of an append to one stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, remote = "Self")]
pub struct AppendBody {
    /// What the stream must be at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<ExpectedVersion>,
    /// In the order in which they will stand; none = only check the version.
    #[serde(deserialize_with = "events")]
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
    #[serde(deserialize_with = "appends")]
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
    #[serde(deserialize_with = "events")]
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

fn events<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NewEventBody>, D::Error> {
    json::list(from, MOST_EVENTS, |_| 1)
}

fn appends<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<StreamAppendBody>, D::Error> {
    json::list(from, MOST_EVENTS, |append: &StreamAppendBody| append.events.len().max(1))
}

json::object_only!(AppendBody, CommitsBody, StreamAppendBody, NewEventBody);

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
        let draft = StreamDraft { stream, expected: expected_version, events, category, aggregate_id };
        commit::of_stream(draft, log, key, new_id)
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
        commit::of_streams(self.appends.into_iter().map(Into::into).collect(), log, key, new_id)
    }
}

impl From<StreamAppendBody> for StreamDraft<NewEventBody> {
    fn from(body: StreamAppendBody) -> Self {
        let StreamAppendBody { stream, expected_version, events, category, aggregate_id } = body;
        Self { stream, expected: expected_version, events, category, aggregate_id }
    }
}

impl EventDraft for NewEventBody {
    fn id(&self) -> Option<EventId> {
        self.id
    }

    fn into_event(self, id: EventId) -> Result<NewEvent, RequestError> {
        NewEventBody::into_event(self, id)
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
        let Self { event_type, data_base64, content_type, correlation_id, causation_id, time, .. } = self;
        let metadata = self.metadata.map(verbatim);
        let parts = EventParts { event_type, content_type, metadata, correlation_id, causation_id, time };
        parts.into_event(id, |content_type| data(self.data, data_base64, content_type))
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
