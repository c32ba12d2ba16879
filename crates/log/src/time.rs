use std::fmt;

use jiff::{Unit, fmt::temporal};
use serde::{Deserialize, Serialize};

/// A moment in UTC, to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Not a date and time with an offset (RFC 3339), or outside the years -9999 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time like 2026-11-21T10:00:00Z: {0}")]
pub struct InvalidTime(String);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From microseconds since 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339; digits beyond microseconds are cut off, not rounded.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let invalid = |error: jiff::Error| InvalidTime(error.to_string());
        let moment = temporal::DateTimeParser::new().parse_timestamp(text).map_err(invalid)?;
        let cut = moment
            .round(jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Floor))
            .map_err(invalid)?;
        Ok(Self(cut.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_microseconds_and_shown_in_utc() {
        let time = Timestamp::parse("2026-11-21T11:00:00.1234569+01:00").expect("a good time");
        assert_eq!(time.to_string(), "2026-11-21T10:00:00.123456Z");
        let early = Timestamp::parse("1969-12-31T23:59:59.9999999Z").expect("a good time");
        assert_eq!(early.as_micros(), -1);
        for bad in ["", "2026-11-21", "2026-11-21T10:00:00", "yesterday"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
