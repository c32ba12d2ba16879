use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use polylog_log::{RecordedEvent, Timestamp};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    Framing,
    event::{write_time, write_verbatim},
    is_json,
    json::write_string,
    metadata,
};

/// What the HTTP binding wants encoded in headers: all but visible ASCII, and `"` and `%`.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// An event in binary mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryEvent {
    /// Names in lower case; values are visible ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// Media type of the body.
    pub content_type: String,
    /// The data, byte for byte; empty where this source does not have it.
    pub body: Bytes,
}

/// Appends an event as a CloudEvent's JSON; `source` is `/polylog/<namespace>/<store>`.
pub fn write_structured(out: &mut Vec<u8>, recorded: &RecordedEvent, source: &str, framing: Framing) {
    out.push(b'{');
    for (index, (header, value)) in attributes(recorded, source).into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, header.trim_start_matches("ce-"));
        out.push(b':');
        write_string(out, &value);
    }
    let event = &recorded.event;
    out.extend_from_slice(b",\"datacontenttype\":");
    write_string(out, &event.content_type);
    match &event.data {
        Some(data) if is_json(&event.content_type) => {
            out.extend_from_slice(b",\"data\":");
            write_verbatim(out, data, framing);
        }
        Some(data) => {
            out.extend_from_slice(b",\"data_base64\":\"");
            out.extend_from_slice(STANDARD.encode(data).as_bytes());
            out.push(b'"');
        }
        None => {}
    }
    out.push(b'}');
}

/// An event in binary mode; `source` is `/polylog/<namespace>/<store>`.
pub fn to_binary(recorded: &RecordedEvent, source: &str) -> BinaryEvent {
    let encode = |(name, value): (_, String)| (name, utf8_percent_encode(&value, ENCODED).to_string());
    BinaryEvent {
        headers: attributes(recorded, source).into_iter().map(encode).collect(),
        content_type: recorded.event.content_type.clone(),
        body: recorded.event.data.clone().unwrap_or_default(),
    }
}

/// Attributes by the name of their header. Positions are strings: a CloudEvent's integers have 32 bits.
fn attributes(recorded: &RecordedEvent, source: &str) -> Vec<(&'static str, String)> {
    let event = &recorded.event;
    let mut attributes = vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", event.id.to_string()),
        ("ce-source", source.to_owned()),
        ("ce-type", event.event_type.to_string()),
        ("ce-subject", event.stream.to_string()),
        ("ce-time", time_text(event.time)),
    ];
    let metadata = |key| metadata::text(event.metadata.as_deref()?, key);
    let traceparent = metadata("traceparent").or_else(|| metadata(metadata::TRACEPARENT));
    let optional = [
        ("ce-dataschema", metadata(metadata::DATA_SCHEMA)),
        ("ce-correlationid", event.correlation_id.clone()),
        ("ce-causationid", event.causation_id.clone()),
        ("ce-traceparent", traceparent),
    ];
    attributes.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    attributes.push(("ce-plposition", event.position.to_string()));
    attributes.push(("ce-plversion", event.version.to_string()));
    attributes
}

fn time_text(time: Timestamp) -> String {
    let mut text = Vec::with_capacity(27);
    write_time(&mut text, time);
    String::from_utf8_lossy(&text).into_owned()
}
