use std::time::Duration;

/// Counts of durations, exact to about 3 %, in fixed memory however many there are.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

/// Buckets per doubling.
const STEPS: u64 = 32;
/// Doublings: up to about 19 hours in microseconds.
const DOUBLINGS: u64 = 32;

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; (STEPS * DOUBLINGS) as usize], total: 0, largest: 0 }
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.largest = self.largest.max(micros);
    }

    pub(crate) fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
        self.largest = self.largest.max(other.largest);
    }

    /// Number of durations.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.largest)
    }

    /// The duration that this share (0 to 1) of all does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(upper(index as u64).min(self.largest));
            }
        }
        Duration::ZERO
    }
}

/// Numbers below `STEPS` have a bucket each; above, each doubling has `STEPS` of them.
fn bucket(micros: u64) -> usize {
    let index = match micros {
        small if small < STEPS => small,
        large => {
            let doubling = u64::from(large.ilog2() - STEPS.ilog2());
            (doubling + 1) * STEPS + ((large >> doubling) - STEPS)
        }
    };
    index.min(STEPS * DOUBLINGS - 1) as usize
}

/// The largest number of a bucket.
fn upper(index: u64) -> u64 {
    match index / STEPS {
        0 => index,
        doubling => ((STEPS + index % STEPS + 1) << (doubling - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_within_three_per_cent_of_its_bucket() {
        for micros in (0..100_000).chain([1 << 20, (1 << 30) + 7, (1 << 35) + 12_345]) {
            let top = upper(bucket(micros) as u64);
            assert!(top >= micros && (top - micros) * 31 <= micros, "{micros} is in the bucket up to {top}");
        }
        assert_eq!(bucket(u64::MAX), (STEPS * DOUBLINGS - 1) as usize);
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        (1..=1000).for_each(|millis| histogram.record(Duration::from_millis(millis)));
        let close = |duration: Duration, millis: f64| (duration.as_secs_f64() * 1e3 / millis - 1.0).abs() < 0.04;
        assert!(close(histogram.quantile(0.5), 500.0) && close(histogram.quantile(0.99), 990.0));
        assert_eq!(histogram.quantile(1.0), histogram.max());
        let mut both = Histogram::new();
        both.add(&histogram);
        both.add(&histogram);
        assert_eq!((both.count(), both.quantile(0.5)), (2000, histogram.quantile(0.5)));
    }
}
