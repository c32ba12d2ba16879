use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use polylog_log::Position;

/// Most moments that are remembered.
const MOST: usize = 512;

/// When the log came how far, so that a source's position says for how long it lacks what it lacks.
///
/// Memory is bounded however long a source is away: every second moment is forgotten when there are too many, but the
/// oldest stays.
#[derive(Debug, Default)]
pub(super) struct Progress(VecDeque<(Position, Instant)>);

impl Progress {
    /// The log ends here now.
    pub(super) fn came_to(&mut self, tail: Position, now: Instant) {
        match self.0.back() {
            Some((last, _)) if *last == tail => return,
            // another history, which is shorter
            Some((last, _)) if *last > tail => self.0.clear(),
            Some(_) | None => {}
        }
        self.0.push_back((tail, now));
        if self.0.len() > MOST {
            let mut index = 0;
            self.0.retain(|_| {
                index += 1;
                index % 2 == 1 || index > MOST
            });
        }
    }

    /// How long a source that ends here is behind.
    pub(super) fn behind(&self, position: Position, now: Instant) -> Duration {
        let missing = self.0.partition_point(|(end, _)| *end <= position);
        let since = self.0.get(missing).map(|(_, since)| *since);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Forgets what every source has: all stand at this position or beyond.
    pub(super) fn all_have(&mut self, position: Position) {
        let had = self.0.partition_point(|(end, _)| *end <= position);
        // the last of them says where the log ends
        self.0.drain(..had.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_behind_since_the_first_event_that_it_lacks_and_memory_is_bounded() {
        let (mut progress, began) = (Progress::default(), Instant::now());
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        for second in 1..=10_000 {
            progress.came_to(Position::new(second * 10), at(second));
        }
        let behind = |position| progress.behind(Position::new(position), at(10_000)).as_secs();
        assert!(progress.0.len() <= MOST + 1);
        assert_eq!(behind(100_000), 0, "level");
        assert_eq!(behind(99_999), 0, "it came just now");
        assert_eq!(behind(0), 9_999, "since the first");
        let roughly = behind(50_000);
        assert!((4_000..=5_000).contains(&roughly), "{roughly}");
        progress.all_have(Position::new(99_995));
        assert!(progress.0.len() <= 3);
        progress.came_to(Position::new(5), at(10_001));
        assert_eq!(progress.behind(Position::new(0), at(10_003)).as_secs(), 2, "another history");
    }
}
