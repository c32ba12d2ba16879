use std::time::Duration;

use polylog_log::Timestamp;

/// Seconds of 0001-01-01T00:00:00Z and of 9999-12-31T23:59:59Z: what Protocol Buffers allow.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A time of a message, cut to microseconds.
pub fn time(given: &prost_types::Timestamp) -> Result<Timestamp, &'static str> {
    if !SECONDS.contains(&given.seconds) || !(0..1_000_000_000).contains(&given.nanos) {
        return Err("not a time: seconds must be in the years 1 to 9999, nanos from 0 to 999999999");
    }
    Ok(Timestamp::from_micros(given.seconds * 1_000_000 + i64::from(given.nanos / 1_000)))
}

/// A time as messages have it.
pub fn from_time(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = parts(time);
    prost_types::Timestamp { seconds, nanos }
}

/// Seconds and nanoseconds.
pub(super) fn parts(time: Timestamp) -> (i64, i32) {
    let micros = time.as_micros();
    (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) as i32 * 1_000)
}

/// A duration of a message; not negative.
pub fn duration(given: &prost_types::Duration) -> Result<Duration, &'static str> {
    let nanos = u32::try_from(given.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    match (u64::try_from(given.seconds), nanos) {
        (Ok(seconds), Some(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err("not a duration: neither part may be negative, nanos at most 999999999"),
    }
}

/// A duration as messages have it.
pub fn from_duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: duration.subsec_nanos() as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_microseconds_and_come_back() {
        let given = prost_types::Timestamp { seconds: -1, nanos: 999_999_999 };
        let read = time(&given).expect("a time");
        assert_eq!(read.as_micros(), -1);
        assert_eq!(from_time(read), prost_types::Timestamp { seconds: -1, nanos: 999_999_000 });
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (253_402_300_800, 0), (i64::MIN, 0)] {
            assert!(time(&prost_types::Timestamp { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn durations_are_not_negative() {
        let given = prost_types::Duration { seconds: 1, nanos: 500_000_000 };
        assert_eq!(duration(&given), Ok(Duration::from_millis(1_500)));
        assert_eq!(from_duration(Duration::from_millis(1_500)), given);
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
            assert!(duration(&prost_types::Duration { seconds, nanos }).is_err());
        }
    }
}
