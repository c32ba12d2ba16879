use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use polylog_log::{EventId, EventType, Timestamp};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::PLACE;
use crate::{
    NewEventBody, RequestError,
    commit::MOST_EVENTS,
    is_json, json,
    metadata::{self, Members},
};

/// A CloudEvent as an event to append.
#[derive(Debug, Clone)]
pub struct CloudEvent {
    /// Its subject: the stream, where the request names none.
    pub subject: Option<String>,
    /// All else. What has no place of its own is kept in metadata.
    pub event: NewEventBody,
}

/// Events that are yet to be read.
struct Batch(Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        json::list(from, MOST_EVENTS, |_| 1).map(Self)
    }
}

/// Attributes in their order, values as JSON.
struct Attributes(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Members(members) = Members::deserialize(from)?;
        let mut attributes: Vec<(String, Box<RawValue>)> = Vec::with_capacity(members.len());
        for (name, value) in members {
            let name = String::from_utf8(name).map_err(|_| D::Error::custom("attribute name is not text"))?;
            if attributes.iter().any(|(known, _)| *known == name) {
                return Err(D::Error::custom(format_args!("attribute {name:?} stands twice")));
            }
            attributes.push((name, value.to_owned()));
        }
        Ok(Self(attributes))
    }
}

impl CloudEvent {
    /// Reads the body of structured mode.
    pub fn from_structured(body: &[u8]) -> Result<Self, RequestError> {
        Self::read(&text(body)?)
    }

    /// Reads a batch.
    pub fn from_batch(body: &[u8]) -> Result<Vec<Self>, RequestError> {
        let Batch(events) = json::parse(body)?;
        let mut read = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            read.push(Self::read(event.get()).map_err(|error| error.within(&format!("[{index}]")))?);
        }
        Ok(read)
    }

    /// Reads binary mode: all headers of the request, of which those count that begin with `ce-`, the content type and
    /// the body.
    pub fn from_binary<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Self, RequestError> {
        let mut attributes = Vec::new();
        for (name, value) in headers {
            let Some(name) = name.strip_prefix("ce-") else { continue };
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|error| RequestError::invalid(format!("ce-{name}"), error))?;
            attributes.push((name.to_owned(), metadata::string(&value)));
        }
        if let Some((name, _)) =
            attributes.iter().find(|(name, _)| name.starts_with("data") && name != "dataschema")
        {
            return Err(RequestError::invalid(format!("ce-{name}"), "is not an attribute of binary mode"));
        }
        let mut event = Self::build(attributes)?;
        event.event.content_type = content_type.map(str::to_owned);
        match content_type {
            None if body.is_empty() => {}
            Some(other) if !is_json(other) => event.event.data_base64 = Some(STANDARD.encode(body)),
            _ => event.event.data = Some(RawValue::from_string(text(body)?).map_err(malformed)?),
        }
        Ok(event)
    }

    fn read(text: &str) -> Result<Self, RequestError> {
        let Attributes(mut attributes) = serde_json::from_str(text).map_err(malformed)?;
        // CloudEvents: an attribute that is null is one that is not there; null as data is data
        attributes.retain(|(name, value)| name == "data" || value.get() != "null");
        let mut take = |name: &str| {
            let index = attributes.iter().position(|(known, _)| known == name)?;
            Some(attributes.remove(index).1)
        };
        let (data, base64) = (take("data"), take("data_base64"));
        let content_type =
            take("datacontenttype").map(|value| string("datacontenttype", &value)).transpose()?;
        let mut event = Self::build(attributes)?;
        let body = &mut event.event;
        body.data_base64 = base64.map(|value| string("data_base64", &value)).transpose()?;
        match data {
            // other content in `data` is text in a JSON string
            Some(data) if content_type.as_deref().is_some_and(|other| !is_json(other)) => {
                if body.data_base64.is_some() {
                    return Err(RequestError::invalid("data", "give either data or data_base64"));
                }
                body.data_base64 = Some(STANDARD.encode(string("data", &data)?));
            }
            data => body.data = data,
        }
        let default = body.data_base64.is_some().then(|| polylog_log::JSON.to_owned());
        body.content_type = content_type.or(default);
        Ok(event)
    }

    fn build(attributes: Vec<(String, Box<RawValue>)>) -> Result<Self, RequestError> {
        let mut known = Known::default();
        let mut extensions = Vec::new();
        for (name, value) in attributes {
            if let Some(field) = known.field(&name) {
                *field = Some(string(&name, &value)?);
            } else if !PLACE.contains(&name.as_str()) {
                check_extension(&name, &value)?;
                extensions.push((name, value));
            }
        }
        known.into_event(extensions)
    }
}

/// The attributes that have a place of their own.
#[derive(Default)]
struct Known {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    event_type: Option<String>,
    subject: Option<String>,
    time: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
}

impl Known {
    fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.event_type,
            "subject" => &mut self.subject,
            "time" => &mut self.time,
            "correlationid" => &mut self.correlation_id,
            "causationid" => &mut self.causation_id,
            _ => return None,
        })
    }

    fn into_event(self, mut extensions: Vec<(String, Box<RawValue>)>) -> Result<CloudEvent, RequestError> {
        let required = |name: &str, value: Option<String>| {
            let value = value.filter(|value| !value.is_empty());
            value.ok_or_else(|| RequestError::invalid(name, "a CloudEvent needs this attribute"))
        };
        let version = required("specversion", self.specversion)?;
        if version != "1.0" {
            return Err(RequestError::invalid(
                "specversion",
                format_args!("must be \"1.0\", got {version:?}"),
            ));
        }
        let (id, source) = (required("id", self.id)?, required("source", self.source)?);
        let event_type = required("type", self.event_type)?;
        let event_type =
            EventType::parse(&event_type).map_err(|error| RequestError::invalid("type", error))?;
        let time = self.time.map(|time| Timestamp::parse(&time)).transpose();
        let uuid = (id.len() == 36).then(|| Uuid::try_parse(&id).ok()).flatten();
        if uuid.is_none() {
            extensions.push((metadata::CLOUD_EVENT_ID.into(), metadata::string(&id)));
        }
        let uuid = uuid.unwrap_or_else(|| {
            Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, source.as_bytes()), id.as_bytes())
        });
        extensions.push((metadata::CLOUD_EVENT_SOURCE.into(), metadata::string(&source)));
        let members = extensions.iter().map(|(name, value)| (name.as_str(), &**value));
        let metadata = metadata::with_members(None, members);
        let metadata = RawValue::from_string(text(&metadata)?).map_err(malformed)?;
        Ok(CloudEvent {
            subject: self.subject,
            event: NewEventBody {
                id: Some(EventId::new(uuid)),
                metadata: Some(metadata),
                correlation_id: self.correlation_id,
                causation_id: self.causation_id,
                time: time.map_err(|error| RequestError::invalid("time", error))?,
                ..NewEventBody::new(event_type)
            },
        })
    }
}

fn text(bytes: &[u8]) -> Result<String, RequestError> {
    String::from_utf8(bytes.to_vec()).map_err(|error| RequestError::invalid("", error.utf8_error()))
}

fn string(name: &str, value: &RawValue) -> Result<String, RequestError> {
    serde_json::from_str(value.get()).map_err(|_| RequestError::invalid(name, "must be a string"))
}

fn malformed(error: serde_json::Error) -> RequestError {
    RequestError::invalid("", format_args!("malformed JSON: {error}"))
}

fn check_extension(name: &str, value: &RawValue) -> Result<(), RequestError> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        let message = "an extension attribute's name has only lower-case letters and digits";
        return Err(RequestError::invalid(name, message));
    }
    if [metadata::CLOUD_EVENT_ID, metadata::CLOUD_EVENT_SOURCE].contains(&name) {
        return Err(RequestError::invalid(name, "is a name that Polylog uses itself"));
    }
    match value.get().as_bytes() {
        [b'{' | b'[', ..] => Err(RequestError::invalid(name, "must be a string, a number or a boolean")),
        _ => Ok(()),
    }
}
