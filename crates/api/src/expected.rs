use std::fmt;

use polylog_log::{Expected, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An expected version as in JSON: a number, `"any"`, `"noStream"` or `"exists"`; 0 means the same as `"noStream"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedVersion(pub Expected);

/// Not an expected version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an expected version is a number from 0 to 9007199254740991, \"any\", \"noStream\" or \"exists\", got {0}"
)]
pub struct InvalidExpectedVersion(String);

impl ExpectedVersion {
    fn word(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self(Expected::Any)),
            "noStream" => Some(Self(Expected::NoStream)),
            "exists" => Some(Self(Expected::Exists)),
            _ => None,
        }
    }

    pub(crate) fn number(number: u64) -> Result<Self, InvalidExpectedVersion> {
        let version = Version::try_from(number).map_err(|_| InvalidExpectedVersion(number.to_string()))?;
        Ok(Self(if version.is_zero() { Expected::NoStream } else { Expected::Version(version) }))
    }
}

/// For query parameters and the command line.
impl std::str::FromStr for ExpectedVersion {
    type Err = InvalidExpectedVersion;
    fn from_str(text: &str) -> Result<Self, InvalidExpectedVersion> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let invalid = || InvalidExpectedVersion(format!("{text:?}"));
        match is_number {
            true => Self::number(text.parse().map_err(|_| invalid())?),
            false => Self::word(text).ok_or_else(invalid),
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expected::Any => f.write_str("any"),
            Expected::NoStream => f.write_str("noStream"),
            Expected::Exists => f.write_str("exists"),
            Expected::Version(version) => version.fmt(f),
        }
    }
}

impl Serialize for ExpectedVersion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Expected::Version(version) => to.serialize_u64(version.get()),
            _ => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for ExpectedVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ExpectedVersion;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 9007199254740991, \"any\", \"noStream\" or \"exists\"")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ExpectedVersion, E> {
                ExpectedVersion::number(number).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ExpectedVersion, E> {
                ExpectedVersion::word(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_three_words_are_accepted() {
        let good = [
            ("0", Expected::NoStream),
            ("3", Expected::Version(Version::new(3))),
            ("9007199254740991", Expected::Version(Version::new(9_007_199_254_740_991))),
            ("\"any\"", Expected::Any),
            ("\"noStream\"", Expected::NoStream),
            ("\"exists\"", Expected::Exists),
        ];
        for (json, expected) in good {
            let read: ExpectedVersion = serde_json::from_str(json).expect(json);
            assert_eq!(read.0, expected, "{json}");
            assert_eq!(json.trim_matches('"').parse(), Ok(read), "{json}");
        }
        for bad in ["-1", "1.5", "1e3", "9007199254740992", "\"3\"", "\"ANY\"", "true", "[]", "{}", "\"\""] {
            assert!(serde_json::from_str::<ExpectedVersion>(bad).is_err(), "{bad}");
        }
        for bad in ["", "+1", "-1", " 1", "Any", "99999999999999999999"] {
            assert!(bad.parse::<ExpectedVersion>().is_err(), "{bad}");
        }
    }
}
