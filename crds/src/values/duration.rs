//! Lengths of time as manifests write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A length of time, in whole milliseconds, written as `1h30m`, `5s`, `200ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    milliseconds: u64,
}

/// A text is no [`Duration`]; the manifest has to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Not a sequence of whole numbers with units.
    #[error("`{0}` is no duration: write whole numbers with the units ms, s, m, h, for example 1m30s")]
    Syntax(String),
    /// More than fits 64 bits of milliseconds.
    #[error("`{0}` is longer than 584 million years")]
    TooLong(String),
}

impl Duration {
    /// Regular expression that every duration matches.
    pub const PATTERN: &'static str = "^([0-9]+(ms|s|m|h))+$";

    /// A duration of `milliseconds`.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// A duration of `seconds`; the largest possible one if that does not fit.
    pub const fn from_secs(seconds: u64) -> Self {
        Self { milliseconds: seconds.saturating_mul(1000) }
    }

    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.milliseconds
    }

    /// As the standard library's type.
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.milliseconds)
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.milliseconds == 0
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || DurationError::Syntax(text.to_owned());
        let too_long = || DurationError::TooLong(text.to_owned());
        let mut rest = text;
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(syntax());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let (unit, tail) = if let Some(tail) = tail.strip_prefix("ms") {
                (1, tail)
            } else if let Some(tail) = tail.strip_prefix('s') {
                (1_000, tail)
            } else if let Some(tail) = tail.strip_prefix('m') {
                (60_000, tail)
            } else if let Some(tail) = tail.strip_prefix('h') {
                (3_600_000, tail)
            } else {
                return Err(syntax());
            };
            if number.is_empty() {
                return Err(syntax());
            }
            let number: u64 = number.parse().map_err(|_| too_long())?;
            total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
            rest = tail;
        }
        Ok(Self { milliseconds: total })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.milliseconds;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Duration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(value: Duration) -> String {
        value.to_string()
    }
}

impl schemars::JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 32, "pattern": Self::PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, milliseconds, canonical) in [
            ("200ms", 200, "200ms"),
            ("5s", 5_000, "5s"),
            ("90s", 90_000, "1m30s"),
            ("1h2m3s4ms", 3_723_004, "1h2m3s4ms"),
            ("1m1m", 120_000, "2m"),
            ("0s", 0, "0s"),
            ("24h", 86_400_000, "24h"),
        ] {
            let duration: Duration = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(duration.as_millis(), milliseconds, "{text}");
            assert_eq!(duration.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(duration));
        }
    }

    #[test]
    fn refuses_what_the_pattern_refuses() {
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5d", "5S", "5sx"] {
            assert!(matches!(text.parse::<Duration>(), Err(DurationError::Syntax(_))), "{text:?}");
        }
        for text in ["99999999999999999999s", "18446744073709551615s"] {
            assert!(matches!(text.parse::<Duration>(), Err(DurationError::TooLong(_))), "{text:?}");
        }
    }
}
