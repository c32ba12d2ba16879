use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use polylog_log::{RecordedEvent, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    is_json,
    json::{write_number, write_string},
};

/// Whether an answer holds an event's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DataState {
    /// As it was appended.
    Present,
    /// The source that keeps it is down; the rest of the event is true.
    Unavailable,
    /// It was erased for good.
    Erased,
    /// Without the parts that the caller may not see.
    Redacted,
}

impl DataState {
    const fn text(self) -> &'static str {
        match self {
            DataState::Present => "PRESENT",
            DataState::Unavailable => "UNAVAILABLE",
            DataState::Erased => "ERASED",
            DataState::Redacted => "REDACTED",
        }
    }
}

/// What an event's JSON stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A JSON document: data and metadata stand byte for byte.
    Document,
    /// A line of its own: line breaks between the tokens of data and metadata come as spaces, all else byte for byte.
    Line,
}

/// Appends an event's JSON, without a line break after it.
///
/// JSON data and metadata are embedded as they are; other data comes as `dataBase64`. What an event lacks is left out.
pub fn write_event(out: &mut Vec<u8>, recorded: &RecordedEvent, state: DataState, framing: Framing) {
    let event = &recorded.event;
    out.reserve(640 + event.size());
    out.extend_from_slice(b"{\"position\":");
    write_number(out, event.position.get());
    out.extend_from_slice(b",\"lane\":0,\"term\":");
    write_number(out, recorded.term.get());
    write_text(out, b",\"stream\":", event.stream.as_str());
    write_text(out, b",\"category\":", event.category.as_str());
    write_text(out, b",\"aggregateId\":", event.aggregate_id.as_str());
    out.extend_from_slice(b",\"version\":");
    write_number(out, event.version.get());
    out.extend_from_slice(b",\"id\":\"");
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    out.extend_from_slice(event.id.uuid().hyphenated().encode_lower(&mut id).as_bytes());
    write_text(out, b"\",\"type\":", event.event_type.as_str());
    write_data(out, event.data.as_deref(), &event.content_type, framing);
    write_text(out, b",\"contentType\":", &event.content_type);
    if let Some(metadata) = &event.metadata {
        out.extend_from_slice(b",\"metadata\":");
        write_verbatim(out, metadata, framing);
    }
    if let Some(id) = &event.correlation_id {
        write_text(out, b",\"correlationId\":", id);
    }
    if let Some(id) = &event.causation_id {
        write_text(out, b",\"causationId\":", id);
    }
    out.extend_from_slice(b",\"time\":\"");
    write_time(out, event.time);
    out.extend_from_slice(b"\",\"recordedAt\":\"");
    write_time(out, event.recorded_at);
    out.extend_from_slice(b"\",\"digest\":\"");
    write_hex(out, event.digest.as_bytes());
    out.extend_from_slice(b"\",\"dataState\":\"");
    out.extend_from_slice(state.text().as_bytes());
    out.extend_from_slice(b"\"}");
}

fn write_text(out: &mut Vec<u8>, name: &[u8], text: &str) {
    out.extend_from_slice(name);
    write_string(out, text);
}

fn write_data(out: &mut Vec<u8>, data: Option<&[u8]>, content_type: &str, framing: Framing) {
    let Some(data) = data else { return };
    if is_json(content_type) {
        out.extend_from_slice(b",\"data\":");
        write_verbatim(out, data, framing);
    } else {
        out.extend_from_slice(b",\"dataBase64\":\"");
        out.extend_from_slice(STANDARD.encode(data).as_bytes());
        out.push(b'"');
    }
}

pub(crate) fn write_verbatim(out: &mut Vec<u8>, json: &[u8], framing: Framing) {
    let from = out.len();
    out.extend_from_slice(json);
    if framing == Framing::Line {
        // inside strings JSON has line breaks escaped, so these stand between tokens
        let breaks = out[from..].iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r'));
        breaks.for_each(|byte| *byte = b' ');
    }
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
    );
}

/// Appends a time exactly as `Timestamp` shows itself, but fast: this is the costliest field of an event.
pub(crate) fn write_time(out: &mut Vec<u8>, time: Timestamp) {
    const DAY: i64 = 86_400_000_000;
    let micros = time.as_micros();
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    if !(0..=9999).contains(&year) {
        let mut text = String::new();
        // writing to a string cannot fail
        let _ = write!(text, "{time}");
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |at: usize, digits: usize, mut number: i64| {
        for place in text[at..at + digits].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, seconds / 3600);
    put(14, 2, seconds / 60 % 60);
    put(17, 2, seconds % 60);
    put(20, 6, fraction);
    let mut end = if fraction == 0 { 19 } else { 26 };
    while end > 20 && text[end - 1] == b'0' {
        end -= 1;
    }
    out.extend_from_slice(&text[..end]);
    out.push(b'Z');
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{EventJson, testing::recorded};

    fn json(event: &RecordedEvent, framing: Framing) -> String {
        let mut out = Vec::new();
        write_event(&mut out, event, DataState::Present, framing);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn has_the_published_form() {
        let mut event = recorded(br#"{"amount":"100.00"}"#);
        assert_eq!(
            json(&event, Framing::Document),
            concat!(
                r#"{"position":184211,"lane":0,"term":3,"stream":"Payment-p1","category":"Payment","aggregateId":"p1","#,
                r#""version":4,"id":"abababab-abab-abab-abab-abababababab","type":"App\\PaymentProcessed","#,
                r#""data":{"amount":"100.00"},"contentType":"application/json","time":"2026-11-21T10:00:00Z","#,
                r#""recordedAt":"2026-11-21T10:00:00.12Z","digest":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","dataState":"PRESENT"}"#
            )
        );
        event.event.content_type = "text/plain".into();
        event.event.metadata = Some(br#"{"organizationId": "o1"}"#.to_vec().into());
        (event.event.correlation_id, event.event.causation_id) = (Some("c".into()), Some("d\"".into()));
        let text = json(&event, Framing::Document);
        let middle = concat!(
            r#""dataBase64":"eyJhbW91bnQiOiIxMDAuMDAifQ==","contentType":"text/plain","#,
            r#""metadata":{"organizationId": "o1"},"correlationId":"c","causationId":"d\"","time":"#
        );
        assert!(text.contains(middle), "{text}");
        event.event.data = None;
        let without = json(&event, Framing::Document);
        assert!(
            !without.contains("\"data\"") && !without.contains("\"dataBase64\""),
            "data is left out where there is none"
        );
    }

    #[test]
    fn data_is_embedded_byte_for_byte_and_reads_back_so() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let cases = [
            "null",
            "-0",
            "1e400",
            "9007199254740993",
            r#"{"b":1,"a":2,"a":3}"#,
            r#""\ud800\u0000""#,
            "[ 1,\t2 ]",
            &deep,
        ];
        for data in cases {
            let mut event = recorded(data.as_bytes());
            event.event.metadata = Some(format!("{{\"m\":{data}}}").into_bytes().into());
            for framing in [Framing::Document, Framing::Line] {
                let text = json(&event, framing);
                let read = EventJson::new(text.into_bytes()).expect("JSON").read().expect("an event");
                assert_eq!(read.data.expect("data").get(), data);
                assert_eq!(read.metadata.expect("metadata").get(), format!("{{\"m\":{data}}}"));
            }
        }
    }

    #[test]
    fn lines_hold_no_line_breaks() {
        let event = recorded(b"{\n\"a\":\r\n\"\\n\"}");
        assert!(json(&event, Framing::Document).contains("{\n\"a\":\r\n\"\\n\"}"));
        assert!(json(&event, Framing::Line).contains("{ \"a\":  \"\\n\"}"));
    }

    #[test]
    fn everything_reads_back() {
        let mut event = recorded(b"{}");
        event.event.stream = polylog_log::StreamName::recorded("$config");
        let read =
            EventJson::new(json(&event, Framing::Line).into_bytes()).expect("JSON").read().expect("read");
        assert_eq!(
            (read.position, read.term, read.version),
            (event.event.position, event.term, event.event.version)
        );
        assert_eq!((read.time, read.recorded_at), (event.event.time, event.event.recorded_at));
        assert_eq!(
            (read.id, read.digest, read.stream.as_str()),
            (event.event.id, event.event.digest, "$config")
        );
        let again = serde_json::to_string(&read).expect("serialises");
        assert_eq!(again, json(&event, Framing::Line), "a client passes events on as they are");
    }

    proptest! {
        #[test]
        fn times_look_as_everywhere_else(micros in prop_oneof![any::<i64>(), -70_000_000_000_000_000..260_000_000_000_000_000i64, (-2_000i64..2_000).prop_map(|ms| ms * 1_000)]) {
            let time = Timestamp::from_micros(micros);
            let mut out = Vec::new();
            write_time(&mut out, time);
            prop_assert_eq!(String::from_utf8(out).expect("ASCII"), time.to_string());
        }
    }
}
