use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use polylog_log::Position;

/// Most moments that are remembered before they are thinned out.
const MOST: usize = 1_024;
/// Neighbours are joined when what they cover together is so many times shorter than it is old.
const COARSER: u32 = 16;

/// When the log came how far, so that a source's position says for how long it lacks what it lacks.
///
/// Memory is bounded however long a source is away: the older a moment, the coarser it is kept. A source is then said to be
/// behind for up to a fifteenth longer than it is, never shorter.
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
            self.thin_out(now);
        }
    }

    /// Joins neighbours that are old enough: together they came to the later end at the earlier time.
    fn thin_out(&mut self, now: Instant) {
        let all: Vec<_> = self.0.drain(..).collect();
        for (index, (end, at)) in all.iter().enumerate() {
            let until = all.get(index + 1).map_or(now, |(_, next)| *next);
            match self.0.back_mut() {
                Some((last, since)) if until - *since <= (now - *since) / COARSER => *last = *end,
                Some(_) | None => self.0.push_back((*end, *at)),
            }
        }
    }

    /// How long a source that ends here is behind.
    pub(super) fn behind(&self, position: Position, now: Instant) -> Duration {
        let since = self.behind_since(position);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Since when; `None` = it lacks nothing that is known of.
    pub(super) fn behind_since(&self, position: Position) -> Option<Instant> {
        let missing = self.0.partition_point(|(end, _)| *end <= position);
        self.0.get(missing).map(|(_, since)| *since)
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
        assert!(progress.0.len() <= MOST);
        assert_eq!(behind(100_000), 0, "level");
        assert_eq!(behind(99_999), 0, "it came just now");
        assert_eq!(behind(0), 9_999, "since the first");
        for position in [1_000, 10_000, 50_000, 90_000, 99_000] {
            let since = 10_000 - (position / 10 + 1);
            let roughly = behind(position);
            assert!(
                (since..=since + since / 15 + 1).contains(&roughly),
                "{position}: {roughly}, not {since}"
            );
        }
        progress.all_have(Position::new(99_995));
        assert!(progress.0.len() <= 3);
        progress.came_to(Position::new(5), at(10_001));
        assert_eq!(progress.behind(Position::new(0), at(10_003)).as_secs(), 2, "another history");
    }
}
