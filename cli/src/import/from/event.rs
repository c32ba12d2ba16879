use jiff::{civil, tz::TimeZone};
use polylog_api::{is_json, metadata};
use polylog_log::{EventId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    document::{Document, Members, base64_of, hex_of, object, on_one_line, shown, text},
    mapping::{DataForm, Mapping, Origin, TimeUnit},
    part::Part,
};
use crate::import::line::{Parsed, parse};

/// The namespace of ids that were none.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f6c_53a1_20d5_4c0e_9b1f_6a2f_57f1_c3d4);

/// An event as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Uuid,
    pub(crate) stream: String,
    /// As the source counts.
    pub(crate) version: Option<u64>,
    /// Where it stands among the events of all streams, if the source knows.
    pub(crate) position: Option<i64>,
    pub(crate) time: Timestamp,
    /// The line of the event, without its version.
    pub(crate) line: String,
}

/// Makes events of documents.
pub(crate) struct Mapper {
    mapping: Mapping,
    /// Names the place, so that the same number in two places is not the same id.
    place: String,
    /// Versions become other ones, and are kept.
    renumber: bool,
    zone: Option<TimeZone>,
}

impl Mapper {
    /// `mapping` was resolved.
    pub(crate) fn new(mapping: Mapping, place: &str, renumber: bool) -> Self {
        let zone = mapping.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        Self { mapping, place: place.to_owned(), renumber, zone }
    }

    /// The event of a document, or what is wrong with it.
    pub(crate) fn event(&self, document: &Document) -> Result<Found, String> {
        let members = Members::of_document(document).map_err(|error| error.to_string())?;
        let mut kept = self.left(&members);
        let (aggregate_type, aggregate_id) =
            (self.text(&members, Part::AggregateType)?, self.text(&members, Part::AggregateId)?);
        let stream = match (self.text(&members, Part::Stream)?, &aggregate_type, &aggregate_id) {
            (Some(stream), _, _) => stream,
            (None, Some(kind), Some(id)) => format!("{kind}-{id}"),
            (None, None, Some(id)) if !self.mapping.parts.contains_key(&Part::AggregateType) => id.clone(),
            (None, None, _) if self.mapping.parts.contains_key(&Part::AggregateType) => {
                return Err(self.lacks(Part::AggregateType));
            }
            (None, _, None) | (None, None, Some(_)) => return Err(self.lacks(self.of_stream())),
        };
        let version = self.number(&members, Part::Version)?;
        let version = version.map(|version| u64::try_from(version).map_err(|_| "its version is negative"));
        let version = version.transpose()?;
        if version.is_none() && self.mapping.parts.contains_key(&Part::Version) {
            return Err(self.lacks(Part::Version));
        }
        if let Some((field, version)) =
            self.mapping.field(Part::Version).zip(version).filter(|_| self.renumber)
        {
            kept.push((field.to_owned(), raw(&version)));
        }
        let id = self.id(&members, &stream, version, &mut kept)?;
        let time = self.time(&members)?;
        let content_type = self.text(&members, Part::ContentType)?;
        let line = Line {
            stream: &stream,
            category: aggregate_type,
            aggregate_id,
            id,
            event_type: self.text(&members, Part::Type)?.ok_or_else(|| self.lacks(Part::Type))?,
            time,
            correlation_id: self.text(&members, Part::CorrelationId)?,
            causation_id: self.text(&members, Part::CausationId)?,
            metadata: self.metadata(&members, kept)?,
            payload: self.data(&members, content_type)?,
        };
        let line = serde_json::to_string(&line).map_err(|error| error.to_string())?;
        check(&line)?;
        let position = self.number(&members, Part::Position)?;
        Ok(Found { id, version, position, time, line, stream })
    }

    /// What has no place of its own in an event.
    fn left(&self, members: &Members<'_>) -> Vec<(String, Box<RawValue>)> {
        let mut used: Vec<&str> = self.mapping.fields().collect();
        // a document's own id is often the event's once more
        let id = self.mapping.field(Part::Id).and_then(|field| members.at(field)).and_then(text);
        if id.is_some() && id == members.at("_id").and_then(text) {
            used.push("_id");
        }
        let mut left = members.without(&used);
        left.retain(|(_, value)| value.get() != "null");
        for (_, value) in &mut left {
            if value.get().contains(['\n', '\r']) {
                *value = on_line(value.get()).expect("line breaks stand between tokens");
            }
        }
        left
    }

    fn of_stream(&self) -> Part {
        match self.mapping.parts.contains_key(&Part::Stream) {
            true => Part::Stream,
            false => Part::AggregateId,
        }
    }

    fn lacks(&self, part: Part) -> String {
        match self.mapping.field(part) {
            Some(field) => format!("it has no {field}, from which its {} is taken", part.name()),
            None => format!("it has no {}", part.name()),
        }
    }

    fn at<'a>(&self, members: &Members<'a>, part: Part) -> Option<&'a RawValue> {
        members.at(self.mapping.field(part)?)
    }

    fn text(&self, members: &Members<'_>, part: Part) -> Result<Option<String>, String> {
        if let Some(Origin::Constant(value)) = self.mapping.parts.get(&part) {
            return Ok(Some(value.clone()));
        }
        let Some(value) = self.at(members, part) else { return Ok(None) };
        let text =
            text(value).ok_or_else(|| format!("its {} is no text: {}", part.name(), shown(value.get())))?;
        Ok(Some(text))
    }

    fn number(&self, members: &Members<'_>, part: Part) -> Result<Option<i64>, String> {
        let Some(text) = self.text(members, part)? else { return Ok(None) };
        let number = text.parse();
        number.map(Some).map_err(|_| format!("its {} is no whole number: {}", part.name(), shown(&text)))
    }

    fn id(
        &self,
        members: &Members<'_>,
        stream: &str,
        version: Option<u64>,
        kept: &mut Vec<(String, Box<RawValue>)>,
    ) -> Result<Uuid, String> {
        let named = |name: &str| Uuid::new_v5(&NAMESPACE, format!("{}\n{name}", self.place).as_bytes());
        let Some(field) = self.mapping.field(Part::Id) else {
            let version = version.ok_or_else(|| self.lacks(Part::Id))?;
            return Ok(named(&format!("{stream}\n{version}")));
        };
        let value = members.at(field).ok_or_else(|| self.lacks(Part::Id))?;
        let id = text(value).ok_or_else(|| format!("its id is no text: {}", shown(value.get())))?;
        Ok(Uuid::parse_str(&id).unwrap_or_else(|_| {
            kept.insert(0, (field.to_owned(), value.to_owned()));
            named(&id)
        }))
    }

    fn time(&self, members: &Members<'_>) -> Result<Timestamp, String> {
        let value = self.at(members, Part::Time).ok_or_else(|| self.lacks(Part::Time))?;
        let text = text(value).ok_or_else(|| format!("its time is none: {}", shown(value.get())))?;
        let is_date = value.get().starts_with('{');
        let unit = if is_date { Some(TimeUnit::Milliseconds) } else { self.mapping.time_unit };
        time(&text, self.zone.as_ref(), unit).map_err(|why| format!("its time is {:?}: {why}", shown(&text)))
    }

    fn metadata(
        &self,
        members: &Members<'_>,
        kept: Vec<(String, Box<RawValue>)>,
    ) -> Result<Option<Box<RawValue>>, String> {
        let given = match self.at(members, Part::Metadata) {
            None => None,
            // PHP writes an empty map so
            Some(value) if is_empty_list(value) => None,
            // an object that was written as a text
            Some(value) if value.get().starts_with('"') => {
                let text = text(value).filter(|text| !text.trim().is_empty());
                text.map(|text| on_line(&text)).transpose().map_err(|_| "its metadata is no JSON object")?
            }
            Some(value) => Some(on_line(value.get()).expect("line breaks stand between tokens")),
        };
        if given.as_ref().is_some_and(|given| !given.get().trim_start().starts_with('{')) {
            return Err("its metadata is no JSON object".into());
        }
        if kept.is_empty() {
            return Ok(given);
        }
        let kept = object(&kept);
        let given = given.as_ref().map(|given| given.get().as_bytes());
        let whole = metadata::with_members(given, [(metadata::IMPORTED, &*kept)]);
        let whole = String::from_utf8(whole).map_err(|error| error.to_string())?;
        RawValue::from_string(whole).map(Some).map_err(|error| error.to_string())
    }

    fn data(&self, members: &Members<'_>, content_type: Option<String>) -> Result<Payload, String> {
        let json = |data| Payload { data: Some(data), data_base64: None, content_type: content_type.clone() };
        let Some(value) = self.at(members, Part::Data) else {
            return Ok(json(RawValue::NULL.to_owned()));
        };
        let not = |what: &str| format!("its data is not {what}: {}", shown(value.get()));
        let is_text = value.get().starts_with('"');
        let bytes = match self.mapping.data_form {
            None if is_text && text(value).is_some_and(|text| text.trim_start().starts_with(['{', '['])) => {
                let why = "its data is a text that looks like JSON: say --map dataForm=parsed to take it as JSON, \
                           or --map dataForm=value to keep it as a text";
                return Err(why.into());
            }
            None | Some(DataForm::Value) if content_type.as_deref().is_none_or(is_json) => {
                return Ok(json(on_line(value.get()).expect("line breaks stand between tokens")));
            }
            None | Some(DataForm::Value) => {
                text(value).filter(|_| is_text).ok_or_else(|| not("a text"))?.into_bytes()
            }
            Some(DataForm::Parsed) => {
                let parsed = text(value).filter(|_| is_text).and_then(|text| on_line(&text).ok());
                return Ok(json(parsed.ok_or_else(|| not("a text that is JSON"))?));
            }
            Some(DataForm::Hex) => {
                text(value).and_then(|text| hex_of(&text)).ok_or_else(|| not("hexadecimal"))?
            }
            Some(DataForm::Base64) => {
                base64_text(value).and_then(|text| base64_of(&text)).ok_or_else(|| not("in base 64"))?
            }
        };
        if content_type.as_deref().is_some_and(is_json) {
            let text = String::from_utf8(bytes).ok().and_then(|text| on_line(&text).ok());
            return Ok(json(text.ok_or_else(|| not("JSON"))?));
        }
        use base64::{Engine, engine::general_purpose::STANDARD};
        let content_type = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(Payload {
            data: None,
            data_base64: Some(STANDARD.encode(bytes)),
            content_type: Some(content_type),
        })
    }
}

fn is_empty_list(value: &RawValue) -> bool {
    let inner = value.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

/// A text, or what document databases keep bytes as.
fn base64_text(value: &RawValue) -> Option<String> {
    if value.get().starts_with('"') {
        return text(value);
    }
    let members = Members::of(value).ok()?;
    text(Members::of(members.at("$binary")?).ok()?.at("base64")?)
}

/// A moment of a text or number.
fn time(text: &str, zone: Option<&TimeZone>, unit: Option<TimeUnit>) -> Result<Timestamp, String> {
    if let Ok(moment) = Timestamp::parse(text) {
        return Ok(moment);
    }
    if text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit()) {
        let Some(unit) = unit else {
            return Err("say what it counts, with --map timeUnit=s, ms or us".into());
        };
        let scale = match unit {
            TimeUnit::Seconds => 1_000_000,
            TimeUnit::Milliseconds => 1_000,
            TimeUnit::Microseconds => 1,
        };
        let micros = text.parse::<i64>().ok().and_then(|number| number.checked_mul(scale));
        let moment = micros.map(|micros| Timestamp::from_micros(micros).to_string());
        // years that no event may have are refused by its reader
        return moment
            .and_then(|text| Timestamp::parse(&text).ok())
            .ok_or_else(|| "it is out of range".into());
    }
    let Ok(local) = text.parse::<civil::DateTime>() else {
        return Err("it must be like 2026-11-21T10:00:00Z".into());
    };
    let zone = zone.ok_or("it has no zone: say which, with --map timeZone=UTC")?;
    let moment = zone.to_timestamp(local).map_err(|error| error.to_string())?;
    Timestamp::parse(&moment.to_string()).map_err(|error| error.to_string())
}

fn on_line(json: &str) -> Result<Box<RawValue>, serde_json::Error> {
    let raw: Box<RawValue> = serde_json::from_str(json)?;
    RawValue::from_string(on_one_line(raw.get()))
}

fn raw(number: &u64) -> Box<RawValue> {
    RawValue::from_string(number.to_string()).expect("a number is JSON")
}

/// Everything that the store will check of it.
fn check(line: &str) -> Result<(), String> {
    match parse(0, line.as_bytes()).map_err(|error| error.to_string())? {
        Parsed::Item(item) => {
            item.event.into_event(EventId::from_bytes([0; 16])).map_err(|error| error.to_string())?;
            Ok(())
        }
        Parsed::System => Err("its stream's name begins with $, which only a log's own do".into()),
        Parsed::Blank => Err("it is empty".into()),
    }
}

/// A line as an import reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregate_id: Option<String>,
    id: Uuid,
    #[serde(rename = "type")]
    event_type: String,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
    #[serde(flatten)]
    payload: Payload,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
}

/// The line with its version in the store.
pub(crate) fn with_version(line: &str, version: u64) -> String {
    let open = line.strip_suffix('}').unwrap_or(line);
    format!("{open},\"version\":{version}}}")
}

#[cfg(test)]
mod tests;
