use std::time::Duration;

/// Waits between tries: from 50 ms on, doubled each time up to 2 s, half of it at random, so that many clients that
/// lost the same server do not come back at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

impl Backoff {
    /// The wait after one more failure; `random` is in 0..1.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        full.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
    }

    /// After a success the next failure waits as little as the first.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_two_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.next(0.0).as_millis(), 1000);
        backoff.reset();
        assert_eq!(backoff.next(0.0).as_millis(), 25);
        (0..100).for_each(|_| assert!(backoff.next(0.5) <= LONGEST));
    }
}
