//! Events as messages, written straight from what was recorded: reads and subscriptions spend most of their time here.

use polylog_log::RecordedEvent;
use prost::Message;

use super::{from_time, time::parts};
use crate::{DataState, ReceivedEvent, proto::polylog::v1};

const VARINT: u32 = 0;
const LENGTH: u32 = 2;

/// Where a message is written, or only measured: a message within another one has its length in front.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Length(usize);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Appends the event as the field `tag` of the message that `out` holds.
pub fn write_event(out: &mut Vec<u8>, tag: u32, recorded: &RecordedEvent, state: DataState) {
    let mut length = Length(0);
    fields(&mut length, recorded, state);
    out.reserve(length.0 + 12);
    key(out, tag, LENGTH);
    varint(out, length.0 as u64);
    fields(out, recorded, state);
}

/// An event as a message of its own.
pub fn event(recorded: &RecordedEvent, state: DataState) -> v1::Event {
    let mut out = Vec::new();
    write_event(&mut out, 1, recorded, state);
    let answer = v1::GetEventResponse::decode(&out[..]).expect("what was just written can be read");
    answer.event.unwrap_or_default()
}

/// Appends a whole gRPC message, with its prefix, that holds nothing but the event as the field `tag`.
pub fn write_event_frame(out: &mut Vec<u8>, tag: u32, recorded: &RecordedEvent, state: DataState) {
    let prefix = out.len();
    out.put(&[0; 5]);
    write_event(out, tag, recorded, state);
    let length =
        u32::try_from(out.len() - prefix - 5).expect("events are smaller than 4 GiB by their limits");
    out[prefix + 1..prefix + 5].copy_from_slice(&length.to_be_bytes());
}

fn fields(out: &mut impl Sink, recorded: &RecordedEvent, state: DataState) {
    let event = &recorded.event;
    number(out, 1, event.position.get());
    number(out, 3, recorded.term.get());
    bytes(out, 4, event.stream.as_str().as_bytes());
    bytes(out, 5, event.category.as_str().as_bytes());
    bytes(out, 6, event.aggregate_id.as_str().as_bytes());
    number(out, 7, event.version.get());
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    bytes(out, 8, event.id.uuid().hyphenated().encode_lower(&mut id).as_bytes());
    bytes(out, 9, event.event_type.as_str().as_bytes());
    bytes(out, 10, event.data.as_deref().unwrap_or_default());
    bytes(out, 11, event.content_type.as_bytes());
    bytes(out, 12, event.metadata.as_deref().unwrap_or_default());
    bytes(out, 13, event.correlation_id.as_deref().unwrap_or_default().as_bytes());
    bytes(out, 14, event.causation_id.as_deref().unwrap_or_default().as_bytes());
    timestamp(out, 15, event.time);
    timestamp(out, 16, event.recorded_at);
    bytes(out, 17, event.digest.as_bytes());
    number(out, 18, data_state(state) as u64);
}

fn data_state(state: DataState) -> v1::DataState {
    match state {
        DataState::Present => v1::DataState::Present,
        DataState::Unavailable => v1::DataState::Unavailable,
        DataState::Erased => v1::DataState::Erased,
        DataState::Redacted => v1::DataState::Redacted,
    }
}

fn key(out: &mut impl Sink, tag: u32, kind: u32) {
    varint(out, u64::from(tag << 3 | kind));
}

/// What has the default value is left out, as in every message.
fn number(out: &mut impl Sink, tag: u32, number: u64) {
    if number != 0 {
        key(out, tag, VARINT);
        varint(out, number);
    }
}

fn bytes(out: &mut impl Sink, tag: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        key(out, tag, LENGTH);
        varint(out, bytes.len() as u64);
        out.put(bytes);
    }
}

fn timestamp(out: &mut impl Sink, tag: u32, time: polylog_log::Timestamp) {
    let mut length = Length(0);
    timestamp_fields(&mut length, time);
    key(out, tag, LENGTH);
    varint(out, length.0 as u64);
    timestamp_fields(out, time);
}

fn timestamp_fields(out: &mut impl Sink, time: polylog_log::Timestamp) {
    let (seconds, nanos) = parts(time);
    number(out, 1, seconds as u64);
    number(out, 2, nanos as u64);
}

fn varint(out: &mut impl Sink, mut number: u64) {
    let mut text = [0; 10];
    let mut length = 0;
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        text[length] = if number == 0 { low } else { low | 0x80 };
        length += 1;
        if number == 0 {
            break;
        }
    }
    out.put(&text[..length]);
}

/// The message of an event that a server wrote as JSON.
pub(super) fn from_received(event: ReceivedEvent) -> v1::Event {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let raw = |json: Option<Box<serde_json::value::RawValue>>| {
        json.map(|json| Box::<str>::from(json).into_boxed_bytes().into()).unwrap_or_default()
    };
    let data = match event.data_base64 {
        Some(text) => STANDARD.decode(text).unwrap_or_default().into(),
        None => raw(event.data),
    };
    v1::Event {
        position: event.position.get(),
        lane: event.lane,
        term: event.term.get(),
        stream: event.stream,
        category: event.category,
        aggregate_id: event.aggregate_id,
        version: event.version.get(),
        id: event.id.to_string(),
        r#type: event.event_type,
        data,
        content_type: event.content_type,
        metadata: raw(event.metadata),
        correlation_id: event.correlation_id.unwrap_or_default(),
        causation_id: event.causation_id.unwrap_or_default(),
        time: Some(from_time(event.time)),
        recorded_at: Some(from_time(event.recorded_at)),
        digest: event.digest.as_bytes().to_vec().into(),
        data_state: data_state(event.data_state) as i32,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::{EventJson, Framing, testing::recorded};

    fn full() -> RecordedEvent {
        let mut event = recorded(br#"{"amount" : "100.00"}"#);
        event.event.metadata = Some(br#"{"a": 1}"#.to_vec().into());
        (event.event.correlation_id, event.event.causation_id) = (Some("c".into()), Some("d".into()));
        event
    }

    #[test]
    fn what_is_written_is_what_the_proto_says() {
        let mut before_1970 = full();
        before_1970.event.time = polylog_log::Timestamp::from_micros(-1);
        let mut without = recorded(b"");
        without.event.data = None;
        let mut other = recorded(&[0xff; 300]);
        other.event.content_type = "image/png".into();
        for event in [full(), before_1970, without, other] {
            for state in [DataState::Present, DataState::Unavailable, DataState::Erased, DataState::Redacted]
            {
                let mut frame = Vec::new();
                write_event_frame(&mut frame, 2, &event, state);
                assert_eq!(frame[0], 0);
                assert_eq!(frame[1..5], (frame.len() as u32 - 5).to_be_bytes());
                let read = v1::ReadFrame::decode(&frame[5..]).expect("a message");
                assert_eq!(read.encode_to_vec(), frame[5..], "the same bytes as the library writes");
                let Some(v1::read_frame::Frame::Event(read)) = read.frame else { panic!("no event") };
                let mut json = Vec::new();
                crate::write_event(&mut json, &event, state, Framing::Document);
                let json = EventJson::new(json).expect("JSON").read().expect("an event");
                assert_eq!(read, from_received(json), "the same as over HTTP");
            }
        }
    }
}
