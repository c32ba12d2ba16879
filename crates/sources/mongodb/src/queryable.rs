//! Payloads in a form that the database can query: best effort, beside the bytes, never read back.

use mongodb::bson::{Bson, Document};
use polylog_log::{Event, JSON};
use serde_json::Value;

/// Larger data has no such form: numbers alone take eight times their text, and a document ends at 16 MiB.
const MOST_DATA: usize = 1 << 20;

/// As [`MOST_DATA`].
const MOST_METADATA: usize = 256 << 10;

/// The database takes a hundred levels, ours among them.
const DEEPEST: usize = 90;

/// An event's data, if it is JSON that the database can hold.
pub(crate) fn data(event: &Event) -> Option<Bson> {
    let text = event.data.as_deref().filter(|data| event.content_type == JSON && data.len() <= MOST_DATA)?;
    convert(serde_json::from_slice(text).ok()?, 0)
}

/// An event's metadata, as [`data`].
pub(crate) fn metadata(event: &Event) -> Option<Bson> {
    let text = event.metadata.as_deref().filter(|metadata| metadata.len() <= MOST_METADATA)?;
    convert(serde_json::from_slice(text).ok()?, 0)
}

fn convert(value: Value, depth: usize) -> Option<Bson> {
    if depth > DEEPEST {
        return None;
    }
    Some(match value {
        Value::Null => Bson::Null,
        Value::Bool(is_true) => Bson::Boolean(is_true),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Bson::Int64(integer),
            None => Bson::Double(number.as_f64()?),
        },
        Value::String(text) => Bson::String(text),
        Value::Array(elements) => Bson::Array(
            elements.into_iter().map(|element| convert(element, depth + 1)).collect::<Option<_>>()?,
        ),
        Value::Object(members) => {
            let mut document = Document::new();
            for (name, member) in members {
                // older servers refuse such names, and no server can query by them
                if name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']) {
                    return None;
                }
                document.insert(name, convert(member, depth + 1)?);
            }
            Bson::Document(document)
        }
    })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{bson, doc};

    use super::*;

    fn converted(json: &str) -> Option<Bson> {
        convert(serde_json::from_str(json).expect("JSON"), 0)
    }

    #[test]
    fn what_the_database_can_query_is_converted_and_nothing_else() {
        let expected = doc! { "a": [1_i64, 2.5, Bson::Null, true], "b": { "c": "d" } };
        assert_eq!(converted(r#"{"a":[1,2.5,null,true],"b":{"c":"d"}}"#), Some(Bson::Document(expected)));
        assert_eq!(converted("9007199254740993"), Some(bson!(9_007_199_254_740_993_i64)));
        for name in ["$set", "a.b", "", r"a\u0000b"] {
            assert_eq!(converted(&format!(r#"{{"ok":[{{"{name}":1}}]}}"#)), None, "{name}");
        }
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(converted(&deep(90)).is_some() && converted(&deep(100)).is_none());
    }
}
