//! Kubernetes resource quantities, handed through to pods as written.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// An amount of CPU or memory as Kubernetes writes it (`20m`, `48Mi`, `1`). We never calculate with it,
/// so the text is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ResourceQuantity(String);

impl ResourceQuantity {
    /// Regular expression that every quantity written as text matches.
    pub const PATTERN: &'static str =
        r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$";

    /// The quantity as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ResourceQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = ResourceQuantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a resource quantity, for example 20m or 48Mi")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ResourceQuantity, E> {
                static REGEX: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
                    regex::Regex::new(ResourceQuantity::PATTERN)
                        .expect("a constant pattern, compiled by the tests")
                });
                if REGEX.is_match(text) {
                    Ok(ResourceQuantity(text.to_owned()))
                } else {
                    Err(E::custom(format_args!("`{text}` is no resource quantity, for example 20m or 48Mi")))
                }
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ResourceQuantity, E> {
                Ok(ResourceQuantity(number.to_string()))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ResourceQuantity, E> {
                Ok(ResourceQuantity(number.to_string()))
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

impl schemars::JsonSchema for ResourceQuantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ResourceQuantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "pattern": Self::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_and_refuses_what_kubernetes_refuses() {
        for (json, text) in [("\"20m\"", "20m"), ("\"1.5Gi\"", "1.5Gi"), ("1", "1"), ("\"1e3\"", "1e3")] {
            let quantity: ResourceQuantity = serde_json::from_str(json).expect("a quantity");
            assert_eq!(quantity.as_str(), text);
        }
        for json in ["\"\"", "\"20x\"", "\"1 Mi\"", "true", "1.5"] {
            assert!(serde_json::from_str::<ResourceQuantity>(json).is_err(), "{json}");
        }
    }
}
