//! JSON Schemas of event types, as a ConfigMap holds them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::manifests::ConfigMapData;
use crate::values::{DataKey, EventTypeName};

const SUFFIX: &str = ".json";

/// JSON Schemas by event type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventSchemas(pub BTreeMap<EventTypeName, Value>);

/// A key of a ConfigMap holds no schema of an event type; the ConfigMap has to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaKeyError {
    /// Without the ending; rename the key.
    #[error("a schema's key ends with .json")]
    Ending,
    /// What the key stands for is no event type; rename the key.
    #[error("{0}")]
    Type(#[from] crate::values::TextError),
    /// Not UTF-8 once written out; rename the key.
    #[error("the key stands for bytes that are no UTF-8")]
    Encoding,
    /// The value is no JSON; correct it.
    #[error("is no JSON: {0}")]
    Json(String),
    /// The value is no JSON Schema, or refers to another document; correct it.
    #[error("is no JSON Schema that can be used: {0}")]
    Schema(String),
    /// Two keys stand for the same type; remove one.
    #[error("another key stands for the same event type")]
    Duplicate,
}

impl EventSchemas {
    /// The schemas in a ConfigMap; and of the keys that hold none, why.
    pub fn read(config_map: &ConfigMapData) -> (Self, Vec<(DataKey, SchemaKeyError)>) {
        let mut schemas = BTreeMap::new();
        let mut errors = Vec::new();
        for (key, text) in &config_map.data {
            let read = schema_type(key).and_then(|type_| Ok((type_, read_schema(text)?)));
            match read {
                Ok((type_, schema)) => {
                    if schemas.insert(type_, schema).is_some() {
                        errors.push((key.clone(), SchemaKeyError::Duplicate));
                    }
                }
                Err(error) => errors.push((key.clone(), error)),
            }
        }
        (Self(schemas), errors)
    }
}

fn read_schema(text: &str) -> Result<Value, SchemaKeyError> {
    let schema: Value =
        serde_json::from_str(text).map_err(|error| SchemaKeyError::Json(error.to_string()))?;
    if !schema.is_object() && !schema.is_boolean() {
        return Err(SchemaKeyError::Schema("it is neither an object nor a boolean".to_owned()));
    }
    match jsonschema::validator_for(&schema) {
        Ok(_) => Ok(schema),
        Err(error) => Err(SchemaKeyError::Schema(error.to_string())),
    }
}

/// The key under which a ConfigMap holds the schema of a type. A key has only letters, digits, `-`, `_` and `.`;
/// any other byte of the type is written `_x` and two upper-case hexadecimal digits, and so is a `_` that would
/// otherwise read like one. May be longer than a key can be (253), for types of many such bytes.
pub fn schema_key(type_: &EventTypeName) -> String {
    let bytes = type_.as_str().as_bytes();
    let mut key = String::with_capacity(bytes.len() + SUFFIX.len());
    for (index, byte) in bytes.iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if plain || (*byte == b'_' && escaped_byte(&bytes[index..]).is_none()) {
            key.push(char::from(*byte));
        } else {
            key.push_str(&format!("_x{byte:02X}"));
        }
    }
    key.push_str(SUFFIX);
    key
}

/// The type whose schema a ConfigMap holds under `key`.
///
/// # Errors
/// If the key is none that [`schema_key`] writes for a valid type.
pub fn schema_type(key: &DataKey) -> Result<EventTypeName, SchemaKeyError> {
    let encoded = key.as_str().strip_suffix(SUFFIX).ok_or(SchemaKeyError::Ending)?;
    let mut rest = encoded.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        match escaped_byte(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| SchemaKeyError::Encoding)?;
    Ok(text.parse::<EventTypeName>()?)
}

/// The byte that `_xHH` at the beginning of `bytes` stands for.
fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    match bytes {
        [b'_', b'x', high, low, ..] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_key_that_stands_for_it() {
        for (type_, key) in [
            ("PaymentProcessed", "PaymentProcessed.json"),
            ("payment.processed-v2", "payment.processed-v2.json"),
            ("payment_processed", "payment_processed.json"),
            (r"App\Paid", "App_x5CPaid.json"),
            ("a b", "a_x20b.json"),
            ("ü", "_xC3_xBC.json"),
            ("a_x41", "a_x5Fx41.json"),
            ("a_x4g", "a_x4g.json"),
            ("a__x41", "a__x5Fx41.json"),
        ] {
            let type_: EventTypeName = type_.parse().expect("a type");
            assert_eq!(schema_key(&type_), key);
            let key: DataKey = key.parse().expect("a key");
            assert_eq!(schema_type(&key), Ok(type_));
        }
    }

    #[test]
    fn refuses_keys_that_stand_for_no_type() {
        let of = |key: &str| schema_type(&key.parse().expect("a key"));
        assert_eq!(of("PaymentProcessed"), Err(SchemaKeyError::Ending));
        assert_eq!(of("_xFF.json"), Err(SchemaKeyError::Encoding));
        assert!(matches!(of(".json"), Err(SchemaKeyError::Type(_))));
        assert!(matches!(of("_x24config.json"), Err(SchemaKeyError::Type(_))));
    }
}
