//! How long the next batch waits for callers that were just answered and are about to come back.
//!
//! Callers in a closed loop fall into two halves by themselves: while the batch of one half is written the other half
//! waits, its batch goes out the moment the first is answered, and each batch pays a whole fsync for half of the callers.
//! To wait once brings them together. That is worth it where the fsync is dear, as long as somebody keeps coming.

use std::time::{Duration, Instant};

/// What an event in a batch takes, or a little more; also what it takes to answer it and to have its caller back.
/// Gathering saves transactions, and not this: where events take all of the time, the processors have enough to do, and
/// waiting only keeps the database idle.
const EVENT_TAKES: Duration = Duration::from_micros(50);
/// What a batch takes beyond its events where an fsync is fast. There is nothing to be gained: half or all of that time,
/// waited for, costs 10 to 17 % at 8 and 32 callers.
const BATCH_TAKES: Duration = Duration::from_millis(1);
/// Once nobody came for so long, nobody is expected any more; and where the callers were together.
const QUIET: Duration = Duration::from_micros(300);
const QUIET_TOGETHER: Duration = Duration::from_millis(1);
/// It never gathers for longer than this, however slow the last commit was; nor for those who were answered longer ago
/// before anybody came: they have gone their own ways.
const LONGEST_GATHER: Duration = Duration::from_millis(5);

/// What the last answered batch says about the next one, and who came since.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    pub(super) took: Duration,
    pub(super) answered_at: Option<Instant>,
    /// How many callers there were: those just answered and those that waited meanwhile.
    pub(super) callers: usize,
    /// How many of them it answered.
    pub(super) answered: usize,
    /// How many events it had.
    pub(super) events: usize,
    /// How many waited when that changed last, and when it was seen.
    seen: Option<(usize, Instant)>,
    /// When somebody was seen waiting for the first time.
    begun: Option<Instant>,
}

impl Pace {
    /// After a batch of `events` events of `answered` callers was answered, while `waiting` others waited.
    pub(super) fn after(
        took: Duration,
        answered_at: Instant,
        answered: usize,
        waiting: usize,
        events: usize,
    ) -> Self {
        let callers = answered + waiting;
        Self { took, answered_at: Some(answered_at), callers, answered, events, seen: None, begun: None }
    }

    /// Whether nearly all callers, and more than a few, were in the last batch. It takes more patience to keep them together than one batch may
    /// save: whoever is left behind once is a half of its own for many batches. Callers that come by themselves, however
    /// many, are never found so: those who come while a batch is written wait for the next one.
    fn are_together(&self) -> bool {
        self.answered >= 4 && 4 * self.answered >= 3 * self.callers
    }

    /// Until when the next batch waits for more than the `waiting` callers that are there; `None` = not at all.
    ///
    /// Where the last batch had all callers, nobody waits for a while. The first who is back counts as one who comes, and
    /// what waiting costs begins with it: else, on processors that are busy, it would go out alone for a whole fsync.
    pub(super) fn gathers_until(&mut self, waiting: usize, now: Instant) -> Option<Instant> {
        let answered_at = self.answered_at?;
        let newest = match self.seen {
            Some((count, at)) if count == waiting => at,
            _ => now,
        };
        self.seen = Some((waiting, newest));
        let begun = *self.begun.get_or_insert(now);
        let events_took = EVENT_TAKES.saturating_mul(u32::try_from(self.events).unwrap_or(u32::MAX));
        let saved = self.took.saturating_sub(events_took);
        let is_expected = begun <= answered_at + LONGEST_GATHER;
        if waiting >= self.callers || saved <= BATCH_TAKES || !is_expected {
            return None;
        }
        let (quiet, longest) = match self.are_together() {
            true => (QUIET_TOGETHER, saved * 2),
            false => (QUIET, saved),
        };
        let nobody_comes = newest.max(answered_at + events_took) + quiet;
        let until = nobody_comes.min(begun + longest.min(LONGEST_GATHER));
        (now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is answered at the moment that [`at`] counts from.
    struct Bed(Instant, Pace);

    fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// One event of each who was answered.
    fn answered(took: Duration, callers: usize, events: usize) -> Bed {
        let start = Instant::now();
        Bed(start, Pace::after(took, start, events, callers - events, events))
    }

    impl Bed {
        /// How long after the answer the batch goes out, as asked after so long with so many waiting.
        fn asked(&mut self, after: u64, waiting: usize) -> Option<Duration> {
            let until = self.1.gathers_until(waiting, self.0 + us(after))?;
            Some(until - self.0)
        }
    }

    #[test]
    fn a_lone_caller_never_waits() {
        assert_eq!(answered(us(200_000), 1, 1).asked(0, 1), None);
        assert_eq!(Bed(Instant::now(), Pace::default()).asked(0, 1), None, "nothing was answered yet");
    }

    #[test]
    fn half_of_the_callers_wait_for_the_other_half_on_a_slow_disk() {
        let mut bed = answered(us(3_000), 32, 16);
        assert_eq!(bed.asked(0, 16), Some(us(16 * 50 + 300)), "they are given the time to be back");
        assert_eq!(bed.asked(1_000, 24), Some(us(1_300)), "as long as somebody comes");
        assert_eq!(bed.asked(1_200, 30), Some(us(1_500)));
        assert_eq!(bed.asked(1_400, 30), Some(us(1_500)), "nobody came since");
        assert_eq!(bed.asked(1_450, 32), None, "all are there");
    }

    #[test]
    fn it_ends_when_nobody_comes_any_more() {
        let mut bed = answered(us(3_000), 32, 16);
        assert_eq!(bed.asked(0, 16), Some(us(1_100)));
        assert_eq!(bed.asked(1_099, 16), Some(us(1_100)));
        assert_eq!(bed.asked(1_100, 16), None);
    }

    #[test]
    fn it_costs_no_more_than_it_may_save() {
        let mut bed = answered(us(2_000), 32, 16);
        for after in (0..1_200).step_by(100) {
            let waiting = 16 + after as usize / 100;
            assert!(bed.asked(after, waiting) <= Some(us(1_200)), "saved were 2 ms less those of 16 events");
        }
        assert_eq!(bed.asked(1_200, 29), None);
        let mut slow = answered(us(900_000), 200, 100);
        assert_eq!(slow.asked(0, 100), Some(us(5_000)));
        assert_eq!(slow.asked(4_900, 150), Some(us(5_000)), "never longer than that");
        assert_eq!(slow.asked(5_000, 160), None);
    }

    #[test]
    fn the_first_who_is_back_late_does_not_go_alone() {
        let mut bed = answered(us(3_600), 32, 32);
        assert_eq!(bed.asked(2_400, 1), Some(us(3_400)), "nobody waited before, and that cost nothing");
        assert_eq!(bed.asked(2_600, 9), Some(us(3_600)));
        assert_eq!(bed.asked(2_900, 32), None, "all are there");
        let mut alone = answered(us(3_600), 32, 32);
        assert_eq!(alone.asked(2_400, 1), Some(us(3_400)));
        assert_eq!(alone.asked(3_400, 1), None, "nobody else came");
        let mut long_after = answered(us(3_600), 32, 32);
        assert_eq!(long_after.asked(5_001, 1), None, "what was answered then has nothing to do with it");
    }

    #[test]
    fn who_is_together_is_waited_for_for_longer() {
        let trickle = |mut bed: Bed| {
            let waited = (0..)
                .step_by(100)
                .find(|after| bed.asked(1_000 + after, 1 + *after as usize / 200).is_none());
            waited.expect("not for ever")
        };
        assert_eq!(trickle(answered(us(3_600), 32, 16)), 2_800, "3.6 ms less those of 16 events");
        assert_eq!(trickle(answered(us(3_600), 32, 23)), 2_500, "nine were a half of their own");
        assert_eq!(trickle(answered(us(3_600), 32, 24)), 4_800, "twice 3.6 ms less those of 24 events");
        assert_eq!(trickle(answered(us(30_000), 320, 320)), 5_000, "and never for longer than that");
    }

    #[test]
    fn who_comes_by_itself_is_never_together_with_the_others() {
        // one in 100 µs, while a batch is written and while the next one is gathered
        let took = us(3_000);
        let (mut answered, mut waiting) = (30_usize, 30_usize);
        for _ in 0..50 {
            let start = Instant::now();
            let pace = Pace::after(took, start, answered, waiting, answered);
            assert!(!pace.are_together(), "{answered} of {}", answered + waiting);
            let mut bed = Bed(start, pace);
            let gathered =
                (0..).take_while(|more| bed.asked(more * 100, waiting + *more as usize).is_some()).count();
            (answered, waiting) = (waiting + gathered, 30);
        }
    }

    #[test]
    fn a_fast_disk_never_waits() {
        for (micros, callers, events) in [(600, 8, 4), (1_000, 32, 16), (1_800, 32, 16), (3_700, 128, 55)] {
            assert_eq!(answered(us(micros), callers, events).asked(0, events), None, "{micros} µs");
        }
    }
}
