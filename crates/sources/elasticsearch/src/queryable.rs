//! Payloads in a form that the server can query: best effort, beside the bytes, never read back.

use polylog_log::{Event, JSON, Timestamp};
use serde_json::Value;

use crate::schema::Payload;

/// What queries can see of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queryable {
    /// Data and metadata by path.
    pub(crate) payload: Payload,
    /// The words of both.
    pub(crate) full_text: bool,
}

/// Larger data has no such form: each of its values becomes terms of an index.
const MOST_DATA: usize = 256 << 10;
/// As [`MOST_DATA`].
const MOST_METADATA: usize = 64 << 10;

/// The server takes twenty levels.
const DEEPEST: usize = 18;

/// Bytes of the names on the way to a value, at most: names and value are one term, which ends at 32,766 bytes.
const LONGEST_PATH: usize = 2_000;

/// An event's data, if it is a JSON object that the server can take.
pub(crate) fn data(event: &Event, payload: Payload) -> Option<Value> {
    let text = event.data.as_deref().filter(|data| event.content_type == JSON && data.len() <= MOST_DATA)?;
    object(text, payload)
}

/// An event's metadata, as [`data`].
pub(crate) fn metadata(event: &Event, payload: Payload) -> Option<Value> {
    object(event.metadata.as_deref().filter(|metadata| metadata.len() <= MOST_METADATA)?, payload)
}

fn object(text: &[u8], payload: Payload) -> Option<Value> {
    if payload == Payload::None {
        return None;
    }
    let value: Value = serde_json::from_slice(text).ok()?;
    (value.is_object() && fits(&value, 0, 0)).then_some(value)
}

fn fits(value: &Value, depth: usize, path: usize) -> bool {
    if depth > DEEPEST || path > LONGEST_PATH {
        return false;
    }
    match value {
        Value::Array(elements) => elements.iter().all(|element| fits(element, depth + 1, path)),
        Value::Object(members) => members.iter().all(|(name, member)| {
            // servers differ in what they make of such names
            let is_plain =
                !name.is_empty() && !name.contains(['.', '\0']) && !name.starts_with([' ', '$', '_']);
            is_plain && fits(member, depth + 1, path + 1 + name.len())
        }),
        Value::String(text) => !text.contains('\0'),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A time as a date field takes it: the years 1 to 9999.
pub(crate) fn date(time: Timestamp) -> Option<String> {
    const FIRST: i64 = -62_135_596_800_000_000;
    const END: i64 = 253_402_300_800_000_000;
    (FIRST..END).contains(&time.as_micros()).then(|| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_can_take_is_taken_and_nothing_else() {
        let taken = |text: &str| object(text.as_bytes(), Payload::Flattened).is_some();
        assert!(taken(r#"{"a":[1,2.5,null,true],"b":{"c":"d"}}"#));
        for bad in ["[]", "1", "{", r#"{"a":1e400}"#, r#"{"a.b":1}"#, r#"{"a":{"":1}}"#, r#"{"a":"\u0000"}"#]
        {
            assert!(!taken(bad), "{bad}");
        }
        let deep = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(taken(&deep(10)) && !taken(&deep(30)));
        assert!(object(b"{}", Payload::None).is_none());
        assert_eq!(date(Timestamp::EPOCH).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert!(date(Timestamp::from_micros(i64::MIN / 4)).is_none());
    }
}
