use std::str::FromStr;

use jiff::{Timestamp, ToSpan, Zoned, civil::Date, tz::TimeZone};

/// How long the steps of a trend are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    Minute,
    Hour,
    Day,
    /// From Monday on.
    Week,
    Month,
}

impl FromStr for Interval {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "minute" => Interval::Minute,
            "hour" => Interval::Hour,
            "day" => Interval::Day,
            "week" => Interval::Week,
            "month" => Interval::Month,
            _ => return Err("it must be minute, hour, day, week or month"),
        })
    }
}

/// A time zone by its IANA name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, &'static str> {
    TimeZone::get(name).map_err(|_| "it must be the IANA name of a time zone, like Europe/Paris")
}

impl Interval {
    /// Slices of this length, in seconds since 1970, mostly lie within one interval: offsets are quarters of an hour, but
    /// for old times and few places.
    pub(crate) fn slice(self) -> u32 {
        if self == Interval::Minute { 60 } else { 900 }
    }

    /// When the interval begins in which a moment lies.
    pub(crate) fn begin(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let local = at.to_zoned(zone.clone());
        let date = local.date();
        let since_monday = i64::from(local.weekday().to_monday_zero_offset());
        let begin = match self {
            Interval::Minute | Interval::Hour => {
                let minute = if self == Interval::Minute { local.minute() } else { 0 };
                let time = date.at(local.hour(), minute, 0, 0);
                local.offset().to_timestamp(time).ok()
            }
            Interval::Day => moment(date, zone),
            Interval::Week => date.checked_sub(since_monday.days()).ok().and_then(|date| moment(date, zone)),
            Interval::Month => moment(date.first_of_month(), zone),
        };
        // the first and the last interval of all time are not whole
        begin.unwrap_or(at)
    }

    /// When the interval after the one that begins then begins.
    pub(crate) fn next(self, begin: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let date = || begin.to_zoned(zone.clone()).date();
        let next = match self {
            Interval::Minute => self.begin(begin.checked_add(1.minute()).ok()?, zone),
            Interval::Hour => self.begin(begin.checked_add(1.hour()).ok()?, zone),
            Interval::Day => moment(date().checked_add(1.day()).ok()?, zone)?,
            Interval::Week => moment(date().checked_add(1.week()).ok()?, zone)?,
            Interval::Month => moment(date().checked_add(1.month()).ok()?, zone)?,
        };
        (next > begin).then_some(next)
    }

    /// An interval's beginning as a trend names it: its date, or with the time of day.
    pub(crate) fn label(self, begin: Timestamp, zone: &TimeZone) -> String {
        let local: Zoned = begin.to_zoned(zone.clone());
        match self {
            Interval::Minute | Interval::Hour if *zone == TimeZone::UTC => begin.to_string(),
            Interval::Minute | Interval::Hour => {
                local.timestamp().display_with_offset(local.offset()).to_string()
            }
            Interval::Day | Interval::Week | Interval::Month => local.date().to_string(),
        }
    }
}

/// The beginning of a day.
fn moment(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    date.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn intervals_begin_in_their_zone() {
        let paris = zone("Europe/Paris").expect("a zone");
        let moment = at("2026-03-29T01:30:15.5Z"); // 03:30 there, half an hour after the clocks went forward
        for (interval, begin, label) in [
            (Interval::Minute, "2026-03-29T01:30:00Z", "2026-03-29T03:30:00+02:00"),
            (Interval::Hour, "2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"),
            (Interval::Day, "2026-03-28T23:00:00Z", "2026-03-29"),
            (Interval::Week, "2026-03-22T23:00:00Z", "2026-03-23"),
            (Interval::Month, "2026-02-28T23:00:00Z", "2026-03-01"),
        ] {
            assert_eq!(interval.begin(moment, &paris), at(begin), "{interval:?}");
            assert_eq!(interval.label(at(begin), &paris), label);
        }
        assert_eq!(Interval::Day.next(at("2026-03-28T23:00:00Z"), &paris), Some(at("2026-03-29T22:00:00Z")));
        assert_eq!(
            Interval::Month.next(at("2026-02-28T23:00:00Z"), &paris),
            Some(at("2026-03-31T22:00:00Z"))
        );
        assert_eq!(Interval::Hour.label(at("2026-03-29T01:00:00Z"), &TimeZone::UTC), "2026-03-29T01:00:00Z");
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_hours() {
        let paris = zone("europe/paris").expect("names are read in any case");
        let (first, second) = (at("2026-10-25T00:00:00Z"), at("2026-10-25T01:00:00Z"));
        assert_eq!(Interval::Hour.begin(at("2026-10-25T00:59:59Z"), &paris), first);
        assert_eq!(Interval::Hour.begin(at("2026-10-25T01:59:59Z"), &paris), second);
        assert_eq!(Interval::Hour.next(first, &paris), Some(second));
        assert!(zone("Mars/Base").is_err() && zone("").is_err());
    }

    #[test]
    fn steps_lead_on_in_every_zone() {
        for name in [
            "Europe/Paris",
            "America/New_York",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Asia/Kathmandu",
            "UTC",
        ] {
            let zone = zone(name).expect("a zone");
            for interval in [Interval::Hour, Interval::Day, Interval::Week, Interval::Month] {
                let mut step = interval.begin(at("2011-12-01T00:00:00Z"), &zone);
                for _ in 0..200 {
                    let next = interval.next(step, &zone).expect("more");
                    assert!(
                        next > step && interval.begin(next, &zone) == next,
                        "{name} {interval:?} {step} {next}"
                    );
                    step = next;
                }
            }
        }
    }
}
