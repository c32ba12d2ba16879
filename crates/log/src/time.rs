use std::fmt;

use jiff::{SignedDuration, Unit, civil, fmt::temporal};
use serde::{Deserialize, Serialize};

/// A moment in UTC, to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Not a date and time with an offset (RFC 3339), or outside the years 1 to 9999.
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

    /// The first and the last moment that can be read: what Protocol Buffers can hold too.
    const READ: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

    /// Reads RFC 3339, years 1 to 9999; digits beyond microseconds are cut off, not rounded.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let read = temporal::DateTimeParser::new().parse_timestamp(text).and_then(|moment| {
            let cut = jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Floor);
            moment.round(cut).map(jiff::Timestamp::as_microsecond)
        });
        let micros = match read {
            Ok(micros) => micros,
            Err(error) => late(text).ok_or_else(|| InvalidTime(error.to_string()))?,
        };
        if !Self::READ.contains(&micros) {
            return Err(InvalidTime("the year must be 1 to 9999".to_owned()));
        }
        Ok(Self(micros))
    }
}

/// The last hours of 9999, with which people write "for ever": jiff's moments end before them, its dates do not.
fn late(text: &str) -> Option<i64> {
    let pieces = temporal::DateTimeParser::new().parse_pieces(text).ok()?;
    let moment = pieces.date().to_datetime(pieces.time()?);
    let since_epoch = moment.duration_since(UNIX_EPOCH)
        - SignedDuration::from_secs(pieces.to_numeric_offset()?.seconds().into());
    i64::try_from(since_epoch.as_nanos().div_euclid(1_000)).ok()
}

const UNIX_EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => match UNIX_EPOCH.checked_add(SignedDuration::from_micros(self.0)) {
                Ok(date) => write!(f, "{date}Z"),
                Err(_) => write!(f, "{} µs", self.0),
            },
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
        for bad in ["", "2026-11-21", "2026-11-21T10:00:00", "yesterday", "9999-12-31", "9999-12-31T23:59:59"]
        {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn years_1_to_9999_are_read_to_their_ends() {
        for (text, shown) in [
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z"),
            ("9999-12-31T00:00:00+01:00", "9999-12-30T23:00:00Z"),
            ("9999-12-30T20:00:00-05:00", "9999-12-31T01:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            let time = Timestamp::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(time.to_string(), shown);
        }
        for bad in [
            "9999-12-31T23:00:00-05:00",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+01:00",
            "-000001-01-01T00:00:00Z",
        ] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
