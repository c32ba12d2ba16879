use std::fmt;

use polylog_log::{Digest, EventId, Position, Term, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::DataState;

/// An event as a client receives it. Data and metadata are the very bytes of the answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceivedEvent {
    /// Its number in the log.
    pub position: Position,
    /// Always 0.
    pub lane: u32,
    /// The term of its entry.
    pub term: Term,
    /// Its stream; one of the log's own begins with `$`.
    pub stream: String,
    /// Its stream's category.
    pub category: String,
    /// Its stream's aggregate id.
    pub aggregate_id: String,
    /// Its number in the stream.
    pub version: Version,
    /// Its id.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its data, where that is JSON and present.
    #[serde(default, deserialize_with = "crate::json::some_raw", skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// Its data in base64, where that is not JSON and present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
    /// The data's media type.
    pub content_type: String,
    /// A JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// When it happened, by the caller's clock.
    pub time: Timestamp,
    /// When the primary recorded it.
    pub recorded_at: Timestamp,
    /// Hash over the recorded event.
    pub digest: Digest,
    /// Whether the data is here.
    pub data_state: DataState,
}

/// An event's JSON as a server wrote it, to be passed on as it is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventJson(Box<RawValue>);

impl EventJson {
    /// Takes what [`write_event`](crate::write_event) wrote.
    pub fn new(json: Vec<u8>) -> Result<Self, serde_json::Error> {
        let text = String::from_utf8(json).map_err(serde::de::Error::custom)?;
        RawValue::from_string(text).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Its fields.
    pub fn read(&self) -> Result<ReceivedEvent, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

impl PartialEq for EventJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for EventJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
