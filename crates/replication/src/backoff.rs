use std::time::Duration;

/// First delay after a failure.
const SHORTEST: Duration = Duration::from_millis(10);
/// Delays do not grow beyond this.
const LONGEST: Duration = Duration::from_secs(1);

/// Growing, randomised delays between tries.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The delay after one more failure; `random` in 0..1 spreads it over its upper half.
    pub(crate) fn failed(&mut self, random: f64) -> Duration {
        let doubled = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// Begins anew.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_second_and_begin_anew() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..9).map(|_| backoff.failed(1.0).as_millis()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(0.0), Duration::from_millis(5));
    }
}
