//! Which of the sources that hold what is asked for are asked first: those that answered this kind of question soonest, as
//! far as was seen, and are busy with the fewest.
//!
//! What was seen is forgotten by and by, so that a source that was slow is tried again, by one reader at first.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use polylog_log::SourceName;

/// What was seen counts half as much after this time.
const HALF_LIFE: Duration = Duration::from_secs(5);
/// How much one more answer counts against those before.
const WEIGHT: f64 = 0.2;
/// A source that failed counts as one that takes this long.
const FAILED: Duration = Duration::from_secs(2);
/// Sources that differ by less are alike: the one that is named first is asked.
const ALIKE: f64 = 1.5;
/// Events in a small page.
const FEW: usize = 32;
/// Nothing is told apart below this time.
const LEAST: Duration = Duration::from_millis(1);

/// What is asked: each engine is fast at something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Log(Pages),
    Stream(Pages),
    Category(Pages),
    Select,
    Tally,
    Event,
    Digests,
    Index,
}

/// A page of a few events says nothing of how long one of a thousand takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pages {
    Small,
    Large,
}

impl Pages {
    pub(super) fn of(max_events: usize) -> Self {
        if max_events <= FEW { Pages::Small } else { Pages::Large }
    }
}

/// What was seen of each source.
#[derive(Debug, Default)]
pub(super) struct Choice(Mutex<BTreeMap<(Question, SourceName), Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// How long it took, and when that was.
    took: Option<(Duration, Instant)>,
    /// When what is under way began.
    under_way: BTreeMap<u64, Instant>,
    next: u64,
}

/// A question that is under way.
pub(super) struct Asked<'a> {
    choice: &'a Choice,
    key: (Question, SourceName),
    number: u64,
    began: Instant,
}

impl Choice {
    /// Puts the one that is likely to answer soonest before all others, which keep their order.
    pub(super) fn order<T>(
        &self,
        question: Question,
        sources: &mut [T],
        name: impl Fn(&T) -> &SourceName,
        now: Instant,
    ) {
        if sources.len() < 2 {
            return;
        }
        let seen = self.0.lock();
        let cost = |source: &T| {
            let key = (question, name(source).clone());
            seen.get(&key).map_or(LEAST.as_secs_f64(), |seen| seen.cost(now))
        };
        let (mut best, mut least) = (0, f64::INFINITY);
        for (index, source) in sources.iter().enumerate() {
            let cost = cost(source);
            if cost * ALIKE < least {
                (best, least) = (index, cost);
            }
        }
        sources[..=best].rotate_right(1);
    }

    /// Takes that a source is asked; it counts as busy until the answer is told, or nobody waits for it any more.
    pub(super) fn ask(&self, question: Question, name: &SourceName, now: Instant) -> Asked<'_> {
        let key = (question, name.clone());
        let mut seen = self.0.lock();
        let source = seen.entry(key.clone()).or_default();
        let number = source.next;
        source.next += 1;
        source.under_way.insert(number, now);
        Asked { choice: self, key, number, began: now }
    }
}

impl Asked<'_> {
    pub(super) fn answered(self, now: Instant) {
        self.took(now.saturating_duration_since(self.began), now);
    }

    pub(super) fn failed(self, now: Instant) {
        self.took(FAILED, now);
    }

    fn took(&self, took: Duration, now: Instant) {
        if let Some(seen) = self.choice.0.lock().get_mut(&self.key) {
            seen.took(took, now);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(seen) = self.choice.0.lock().get_mut(&self.key) {
            seen.under_way.remove(&self.number);
        }
    }
}

impl Seen {
    /// A slower answer than before counts at once, a faster one by and by.
    fn took(&mut self, took: Duration, now: Instant) {
        let before = self.remembered(now);
        let took = took.as_secs_f64();
        let mean = before + WEIGHT * (took - before);
        let mean = if took > before { took } else { mean };
        self.took = Some((Duration::from_secs_f64(mean), now));
    }

    /// In seconds.
    fn remembered(&self, now: Instant) -> f64 {
        self.took.map_or(0.0, |(took, at)| {
            let half_lives = now.saturating_duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64();
            took.as_secs_f64() * (-half_lives).exp2()
        })
    }

    /// What one more question costs: as long as an answer takes, or as long as somebody has been waiting for one already,
    /// for each that is under way and for this one.
    fn cost(&self, now: Instant) -> f64 {
        let waiting = self.under_way.first_key_value();
        let waiting = waiting.map_or(0.0, |(_, since)| now.saturating_duration_since(*since).as_secs_f64());
        let answer = self.remembered(now).max(waiting).max(LEAST.as_secs_f64());
        answer * (self.under_way.len() + 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn name(source: usize) -> SourceName {
        SourceName::parse(["ledger", "mirror", "spare"][source]).expect("a name")
    }

    /// Who is asked first.
    fn first(choice: &Choice, question: Question, now: Instant) -> usize {
        let mut sources: Vec<_> = (0..3).map(|source| (name(source), source)).collect();
        choice.order(question, &mut sources, |(name, _)| name, now);
        let first = sources.remove(0).1;
        assert!(sources[0].1 < sources[1].1, "the others keep their order");
        first
    }

    fn took(choice: &Choice, question: Question, source: usize, took: Duration, now: Instant) {
        choice.ask(question, &name(source), now).answered(now + took);
    }

    #[test]
    fn the_primary_is_asked_until_another_is_clearly_faster_at_this_kind_of_question() {
        let (choice, now) = (Choice::default(), Instant::now());
        assert_eq!(first(&choice, Question::Log(Pages::Small), now), 0, "nothing was seen");
        for (source, micros) in [(0, 2_500), (1, 2_000), (2, 40_000)] {
            took(&choice, Question::Log(Pages::Small), source, micros * MILLISECOND / 1_000, now);
        }
        let now = now + 50 * MILLISECOND;
        assert_eq!(first(&choice, Question::Log(Pages::Small), now), 0, "alike");
        took(&choice, Question::Log(Pages::Small), 0, 20 * MILLISECOND, now);
        assert_eq!(first(&choice, Question::Log(Pages::Small), now), 1, "one slow answer is enough");
        for other in [Question::Tally, Question::Log(Pages::Large)] {
            assert_eq!(first(&choice, other, now), 0, "of {other:?} nothing was seen");
        }
        // the second stays as fast as it was
        let later = (1..=12).map(|half_life| now + half_life * HALF_LIFE).find(|later| {
            took(&choice, Question::Log(Pages::Small), 1, 2 * MILLISECOND, *later);
            first(&choice, Question::Log(Pages::Small), *later) == 0
        });
        assert!(later.is_some_and(|later| later > now + HALF_LIFE), "the first is tried again");
    }

    #[test]
    fn one_that_is_busy_or_hangs_is_spared() {
        let (choice, now) = (Choice::default(), Instant::now());
        for source in 0..3 {
            took(&choice, Question::Stream(Pages::Small), source, MILLISECOND, now);
        }
        let now = now + MILLISECOND;
        let under_way = choice.ask(Question::Stream(Pages::Small), &name(0), now);
        assert_eq!(first(&choice, Question::Stream(Pages::Small), now), 1, "it has twice as much to do");
        drop(under_way);
        assert_eq!(first(&choice, Question::Stream(Pages::Small), now), 0);
        let hanging = choice.ask(Question::Stream(Pages::Small), &name(1), now);
        let later = now + 100 * MILLISECOND;
        took(&choice, Question::Stream(Pages::Small), 0, 50 * MILLISECOND, later);
        assert_eq!(
            first(&choice, Question::Stream(Pages::Small), later),
            2,
            "nothing came from the second for so long"
        );
        drop(hanging);
        assert_eq!(first(&choice, Question::Stream(Pages::Small), later), 1);
    }

    #[test]
    fn one_that_failed_is_left_alone_and_tried_again_later_by_one_reader_at_first() {
        let (choice, now) = (Choice::default(), Instant::now());
        choice.ask(Question::Log(Pages::Small), &name(0), now).failed(now);
        for seconds in [0, 10, 30] {
            let later = now + Duration::from_secs(seconds);
            assert_eq!(first(&choice, Question::Log(Pages::Small), later), 1, "{seconds} s later");
        }
        let later = now + Duration::from_secs(300);
        assert_eq!(first(&choice, Question::Log(Pages::Small), later), 0);
        let trial = choice.ask(Question::Log(Pages::Small), &name(0), later);
        assert_eq!(first(&choice, Question::Log(Pages::Small), later), 1, "one at a time");
        trial.answered(later + MILLISECOND / 10);
        assert_eq!(first(&choice, Question::Log(Pages::Small), later + MILLISECOND), 0);
    }
}
