//! Sizes in bytes as manifests write them.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number of bytes, written as `256Ki`, `1Mi`, `64M` or a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct ByteSize {
    bytes: u64,
}

/// A text is no [`ByteSize`]; the manifest has to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ByteSizeError {
    /// Not a whole number with an optional unit.
    #[error("`{0}` is no size: write a whole number of bytes, or one with Ki, Mi, Gi, Ti, k, M, G or T")]
    Syntax(String),
    /// More than 2^63 - 1 bytes.
    #[error("`{0}` is more bytes than any database holds")]
    TooLarge(String),
}

const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

impl ByteSize {
    /// Regular expression that every size written as text matches.
    pub const PATTERN: &'static str = "^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$";

    /// A size of `bytes`.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// A size of `kibibytes` × 1024 bytes.
    pub const fn from_kib(kibibytes: u64) -> Self {
        Self { bytes: kibibytes << 10 }
    }

    /// Whole bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => 1,
            None => return Err(ByteSizeError::Syntax(text.to_owned())),
        };
        if number.is_empty() {
            return Err(ByteSizeError::Syntax(text.to_owned()));
        }
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .map(|bytes| Self { bytes })
            .ok_or_else(|| ByteSizeError::TooLarge(text.to_owned()))
    }
}

impl fmt::Display for ByteSize {
    /// The largest binary unit that divides it, so that reading gives the same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit =
            UNITS[..4].iter().rev().find(|(_, factor)| self.bytes != 0 && self.bytes.is_multiple_of(*factor));
        match unit {
            Some((name, factor)) => write!(f, "{}{name}", self.bytes / factor),
            None => write!(f, "{}", self.bytes),
        }
    }
}

impl From<ByteSize> for String {
    fn from(value: ByteSize) -> String {
        value.to_string()
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, for example 256Ki")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ByteSize, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ByteSize, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

impl schemars::JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "x-kubernetes-int-or-string": true,
            "maxLength": 24,
            "pattern": Self::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, bytes, canonical) in [
            ("256Ki", 262_144, "256Ki"),
            ("1Mi", 1_048_576, "1Mi"),
            ("1024Ki", 1_048_576, "1Mi"),
            ("64M", 64_000_000, "62500Ki"),
            ("10k", 10_000, "10000"),
            ("0", 0, "0"),
            ("3", 3, "3"),
        ] {
            let size: ByteSize = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(size));
        }
        assert_eq!(serde_json::from_str::<ByteSize>("262144").map(ByteSize::bytes).ok(), Some(262_144));
    }

    #[test]
    fn refuses() {
        for text in ["", "Ki", "1.5Mi", "-1", "1KB", "1ki", "1 Mi", "1m"] {
            assert!(matches!(text.parse::<ByteSize>(), Err(ByteSizeError::Syntax(_))), "{text:?}");
        }
        for text in ["99999999999999999999", "8388608Ti"] {
            assert!(matches!(text.parse::<ByteSize>(), Err(ByteSizeError::TooLarge(_))), "{text:?}");
        }
        for json in ["-1", "1.5", "true", "null"] {
            assert!(serde_json::from_str::<ByteSize>(json).is_err(), "{json}");
        }
    }
}
