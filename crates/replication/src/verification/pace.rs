use std::time::Duration;

use polylog_log::Position;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// While the log grows, a rest of so many times what a read took follows it: reading has a twentieth of the time.
const REST: u32 = 19;
/// No rest is longer, so that reading never comes to an end.
const LONGEST_REST: Duration = Duration::from_millis(500);
/// The log grows as long as its end moved within this time; what others append is seen a little later.
const GROWS_FOR: Duration = Duration::from_secs(2);

/// Lets so many reads pass in a second, evenly; fewer while there are appends, which come first.
pub(super) struct Pace {
    ticks: Interval,
    end: Option<Position>,
    moved: Option<Instant>,
    /// When the last read began, until its end is known.
    began: Option<Instant>,
    /// Not before then, while the log grows.
    rests_until: Instant,
}

impl Pace {
    pub(super) fn new(reads_per_second: u32) -> Self {
        let mut ticks = interval(Duration::from_secs(1) / reads_per_second.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, end: None, moved: None, began: None, rests_until: Instant::now() }
    }

    /// Takes where the log ends.
    pub(super) fn sees(&mut self, end: Position) {
        let before = self.end.replace(end);
        if before.is_some_and(|before| before != end) {
            self.moved = Some(Instant::now());
        }
    }

    /// Takes that what was read is dealt with, and nothing else is to be read now.
    pub(super) fn done(&mut self) {
        let Some(began) = self.began.take() else { return };
        let now = Instant::now();
        self.rests_until = now + ((now - began) * REST).min(LONGEST_REST);
    }

    /// Returns once the next read may begin; one that somebody waits for yields to nothing.
    pub(super) async fn pass(&mut self, is_awaited: bool) {
        self.done();
        let grows = self.moved.is_some_and(|moved| moved.elapsed() < GROWS_FOR);
        if grows && !is_awaited {
            tokio::time::sleep_until(self.rests_until).await;
        }
        self.ticks.tick().await;
        self.began = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many reads that take so long pass in ten seconds, while the log grows or not.
    async fn reads(takes: Duration, grows: bool, is_awaited: bool) -> u32 {
        let mut pace = Pace::new(50);
        let (mut reads, mut end) = (0, 0);
        pace.sees(Position::new(end));
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            end += u64::from(grows);
            pace.sees(Position::new(end));
            pace.pass(is_awaited).await;
            tokio::time::sleep(takes).await;
            reads += 1;
        }
        reads
    }

    #[tokio::test(start_paused = true)]
    async fn reads_take_a_twentieth_of_the_time_while_the_log_grows_and_never_come_to_an_end() {
        let millis = Duration::from_millis;
        let about = |reads: u32, expected: u32| reads.abs_diff(expected) <= 2;
        assert!(about(reads(millis(5), false, false).await, 500), "nobody appends: as many as are allowed");
        assert!(about(reads(millis(5), true, false).await, 100), "5 of 100 ms");
        assert!(about(reads(millis(5), true, true).await, 500), "somebody waits for it");
        assert!(about(reads(Duration::ZERO, true, false).await, 500), "what takes no time needs no rest");
        assert!(
            about(reads(millis(500), true, false).await, 10),
            "a slow source is still read half of the time"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_ends_with_the_appends_and_time_without_work_counts_as_rest() {
        let mut pace = Pace::new(50);
        pace.sees(Position::new(1));
        pace.sees(Position::new(2));
        pace.pass(false).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        pace.done();
        // nothing to read for longer than the rest
        tokio::time::sleep(Duration::from_millis(400)).await;
        let before = Instant::now();
        pace.pass(false).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(20)).await;
        pace.sees(Position::new(2));
        tokio::time::sleep(GROWS_FOR).await;
        let before = Instant::now();
        pace.pass(false).await;
        assert_eq!(before.elapsed(), Duration::ZERO, "the log has not grown for a while");
    }
}
