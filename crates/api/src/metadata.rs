//! Metadata: a JSON object beside an event's data, kept byte for byte. Keys that begin with `$` are Polylog's own.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::json::write_string;

/// Who appended the event.
pub const BY: &str = "$by";
/// W3C trace context of the append.
pub const TRACEPARENT: &str = "$traceparent";
/// The pod that appended the event.
pub const POD: &str = "$pod";
/// The namespace of that pod.
pub const NAMESPACE: &str = "$namespace";
/// The `$…` keys that an imported event had in the log it comes from. The one `$…` key that callers may send.
pub const IMPORTED: &str = "$imported";
/// The id of a CloudEvent whose id is no UUID.
pub const CLOUD_EVENT_ID: &str = "ceid";
/// The source of a CloudEvent.
pub const CLOUD_EVENT_SOURCE: &str = "cesource";
/// The schema that a CloudEvent names.
pub const DATA_SCHEMA: &str = "dataschema";

/// Why metadata is refused; nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Something else than a JSON object. Send an object, or nothing.
    #[error("metadata must be a JSON object")]
    NotAnObject,
    /// Leave the key out, or name it otherwise.
    #[error("metadata keys beginning with '$' are reserved, got {0:?}")]
    Reserved(String),
}

/// A member's name; bytes, because JSON names may hold lone surrogates.
struct Name(Vec<u8>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Name, E> {
                Ok(Name(bytes.to_vec()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.as_bytes().to_vec()))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

/// An object's members in their order, doubled ones included.
pub(crate) struct Members<'a>(pub(crate) Vec<(Vec<u8>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

/// The members of metadata in their order. Names are UTF-8 unless they hold lone surrogates.
pub fn members(metadata: &[u8]) -> Result<Vec<(Vec<u8>, &RawValue)>, MetadataError> {
    let members: Members<'_> = serde_json::from_slice(metadata).map_err(|_| MetadataError::NotAnObject)?;
    Ok(members.0)
}

/// A member of metadata that is a string without lone surrogates.
pub fn text(metadata: &[u8], key: &str) -> Option<String> {
    let (_, value) = members(metadata).ok()?.into_iter().find(|(name, _)| name == key.as_bytes())?;
    serde_json::from_str(value.get()).ok()
}

/// Checks metadata that a caller sent.
pub fn check(metadata: &[u8]) -> Result<(), MetadataError> {
    for (name, value) in members(metadata)? {
        let is_imported = name == IMPORTED.as_bytes() && value.get().starts_with('{');
        if name.starts_with(b"$") && !is_imported {
            return Err(MetadataError::Reserved(String::from_utf8_lossy(&name).into_owned()));
        }
    }
    Ok(())
}

/// Adds members to metadata; what it holds already stays byte for byte. `value` must be JSON.
pub fn with_members<'a>(
    metadata: Option<&[u8]>,
    more: impl IntoIterator<Item = (&'a str, &'a RawValue)>,
) -> Vec<u8> {
    let old = metadata.unwrap_or(b"{}").trim_ascii();
    let inner = old.strip_suffix(b"}").unwrap_or(b"{");
    let mut is_empty = inner.trim_ascii() == b"{";
    let mut out = inner.to_vec();
    for (key, value) in more {
        if !is_empty {
            out.push(b',');
        }
        write_string(&mut out, key);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
        is_empty = false;
    }
    out.push(b'}');
    out
}

/// A JSON string, for [`with_members`].
pub fn string(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("a string serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_keys_are_found_however_they_are_written() {
        for good in [
            "{}",
            r#"{"a":{"$b":1},"":0}"#,
            r#"{"\ud800":1}"#,
            r#"{"$imported":{"$by":"x"}}"#,
            r#"{"a$":1,"a":2,"a":3}"#,
        ] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [r#"{"$by":1}"#, r#"{"\u0024by":1}"#, r#"{"$":1}"#, r#"{"a":1,"$imported":2}"#] {
            assert!(matches!(check(bad.as_bytes()), Err(MetadataError::Reserved(_))), "{bad}");
        }
        for bad in ["[]", "null", "1", "\"{}\"", "{", "{} {}", ""] {
            assert_eq!(check(bad.as_bytes()), Err(MetadataError::NotAnObject), "{bad}");
        }
    }

    #[test]
    fn deep_values_cost_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(check(deep.as_bytes()), Ok(()));
    }

    #[test]
    fn adding_members_keeps_what_is_there() {
        let value = string("x");
        let add = |metadata| {
            let out = with_members(metadata, [("$by", &*value)]);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(add(None), r#"{"$by":"x"}"#);
        assert_eq!(add(Some(b" { } ")), r#"{ "$by":"x"}"#);
        assert_eq!(add(Some(br#"{"a":1e400, "b":{}}"#)), r#"{"a":1e400, "b":{},"$by":"x"}"#);
        assert_eq!(text(add(Some(br#"{"a":1}"#)).as_bytes(), "$by").as_deref(), Some("x"));
    }
}
