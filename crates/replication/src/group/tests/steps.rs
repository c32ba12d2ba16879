//! Single behaviours, step by step.

use std::time::{Duration, Instant};

use polylog_log::{Expected, Failure, OperationError, Refusal, RefusedReason, Verdict};

use super::{
    super::{Batch, Group, Next},
    model::{Log, at, commit},
};
use crate::{AppendError, QueueBounds};

struct Bed {
    start: Instant,
    log: Log,
    group: Group<u32>,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Bed {
    fn new() -> Self {
        let log = Log::open();
        let group = Group::new(QueueBounds { commits: 1_000, bytes: 8 << 20 }, Some(log.primary()));
        Self { start: Instant::now(), log, group }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + ms(millis)
    }

    /// Offers a commit with a deadline of 1000 ms.
    fn offer(&mut self, number: u32, events: usize, bytes: usize) {
        let commit = commit(number, &format!("s-{number}"), Expected::Any, events, bytes);
        self.group.offer(commit, self.start + ms(1_000), number).expect("there is room");
    }

    fn sent(&mut self, millis: u64) -> Batch {
        match self.group.next(self.at(millis)) {
            Next::Append(batch) => batch,
            other => panic!("expected a batch, got {other:?}"),
        }
    }

    fn answer(&mut self, millis: u64, batch: &Batch) {
        let result = self.log.append(batch);
        self.group.appended(self.at(millis), batch.attempt, result, 0.0);
    }

    fn fail(&mut self, millis: u64, batch: &Batch, error: OperationError) {
        self.group.appended(self.at(millis), batch.attempt, Err(error), 0.0);
    }

    fn outcomes(&mut self) -> Vec<(u32, Result<Verdict, AppendError>)> {
        self.group.take_outcomes()
    }

    fn errors(&mut self) -> Vec<(u32, AppendError)> {
        let errors = self.outcomes().into_iter();
        errors.map(|(caller, outcome)| (caller, outcome.expect_err("a refusal"))).collect()
    }
}

fn unknown() -> OperationError {
    OperationError::Unknown(Failure::Unreachable("gone".into()))
}

fn failed() -> OperationError {
    OperationError::Failed(Failure::Unreachable("gone".into()))
}

#[test]
fn commits_that_wait_travel_together_up_to_the_bounds() {
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    let first = bed.sent(0);
    assert_eq!(first.commits.len(), 1, "a single caller does not wait");
    (2..4).for_each(|number| bed.offer(number, 300, 10));
    bed.offer(4, 1, 2 << 20);
    bed.offer(5, 1, 10);
    assert!(matches!(bed.group.next(bed.at(0)), Next::Wait(_)), "one append is in flight");
    bed.answer(1, &first);
    for lengths in [300, 300, 1, 1] {
        let batch = bed.sent(20);
        assert_eq!(batch.commits.len(), 1);
        assert_eq!(batch.commits[0].event_count(), lengths);
        bed.answer(20, &batch);
    }
    let order: Vec<_> = bed.outcomes().into_iter().map(|(caller, _)| caller).collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
}

#[test]
fn the_next_batch_waits_a_little_for_callers_that_come_back() {
    let mut bed = Bed::new();
    (1..5).for_each(|number| bed.offer(number, 1, 10));
    let batch = bed.sent(0);
    bed.answer(20, &batch);
    bed.offer(5, 1, 10);
    let until = bed.at(20) + Duration::from_micros(4 * 50 + 1_000);
    assert!(matches!(bed.group.next(bed.at(20)), Next::Gather(at) if at == until));
    (6..9).for_each(|number| bed.offer(number, 1, 10));
    assert_eq!(bed.sent(20).commits.len(), 4, "all are back: no more waiting");
}

#[test]
fn callers_that_do_not_come_back_are_not_waited_for() {
    let mut bed = Bed::new();
    (1..3).for_each(|number| bed.offer(number, 1, 10));
    let batch = bed.sent(0);
    bed.answer(900, &batch);
    bed.offer(3, 1, 10);
    let until = bed.at(900) + Duration::from_micros(2 * 50 + 300);
    assert!(matches!(bed.group.next(bed.at(900)), Next::Gather(at) if at == until));
    assert_eq!(bed.sent(902).commits.len(), 1);
}

#[test]
fn nothing_is_waited_for_where_the_events_themselves_took_the_time() {
    let mut bed = Bed::new();
    (1..81).for_each(|number| bed.offer(number, 1, 10));
    let batch = bed.sent(0);
    bed.answer(4, &batch);
    bed.offer(81, 1, 10);
    assert_eq!(bed.sent(4).commits.len(), 1);
}

#[test]
fn an_unknown_outcome_is_found_out_with_the_same_batch() {
    let mut bed = Bed::new();
    (1..3).for_each(|number| bed.offer(number, 1, 10));
    let batch = bed.sent(0);
    bed.log.append(&batch).expect("it was executed");
    bed.fail(1, &batch, unknown());
    assert!(matches!(bed.group.next(bed.at(1)), Next::Wait(Some(until)) if until == bed.at(6)), "a pause");
    bed.offer(3, 1, 10);
    let again = bed.sent(6);
    assert_eq!(again.commits, batch.commits);
    bed.answer(7, &again);
    let outcomes = bed.outcomes();
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Ok(Verdict::Duplicate(_)))));
    assert_eq!(bed.log.entries.len(), 2, "nothing twice");
}

#[test]
fn an_expired_commit_is_refused_if_it_was_never_sent_and_unknown_if_it_was() {
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    let batch = bed.sent(0);
    bed.offer(2, 1, 10);
    assert!(matches!(bed.group.next(bed.at(999)), Next::Wait(Some(until)) if until == bed.at(1_000)));
    assert!(bed.outcomes().is_empty());
    bed.group.next(bed.at(1_000));
    let errors = bed.errors();
    assert_eq!(errors[1], (1, AppendError::OutcomeUnknown));
    assert!(matches!(errors[0], (2, AppendError::Overloaded { .. })), "{errors:?}");
    assert!(!bed.group.awaits(batch.attempt), "nobody waits for it any more");
    bed.answer(1_001, &batch);
    assert!(bed.outcomes().is_empty(), "an answer that comes too late changes nothing");
}

#[test]
fn what_was_refused_as_not_sent_is_not_sent_with_the_next_try() {
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    let commit = commit(2, "s-2", Expected::Any, 1, 10);
    let late = bed.at(5_000);
    bed.group.offer(commit, late, 2).expect("there is room");
    let batch = bed.sent(0);
    bed.fail(995, &batch, failed());
    let batch = bed.sent(1_000);
    let errors = bed.errors();
    assert!(matches!(errors[..], [(1, AppendError::Source(Failure::Unreachable(_)))]), "{errors:?}");
    assert_eq!(batch.commits.len(), 1);
    bed.answer(1_001, &batch);
    assert!(matches!(bed.outcomes()[..], [(2, Ok(Verdict::Committed(_)))]));
    assert_eq!(bed.log.entries.len(), 1);
}

#[test]
fn a_conflict_after_an_unknown_attempt_is_final_only_if_the_attempt_cannot_land_any_more() {
    for (expected, is_final) in [(at(9), false), (Expected::Exists, false), (Expected::NoStream, true)] {
        let mut bed = Bed::new();
        let stream = if is_final { "taken-1" } else { "s-1" };
        bed.group.offer(commit(1, "taken-1", Expected::Any, 1, 10), bed.at(1_000), 0).expect("room");
        let batch = bed.sent(0);
        bed.answer(1, &batch);
        bed.outcomes();
        bed.group.offer(commit(2, stream, expected, 1, 10), bed.at(1_000), 1).expect("room");
        let batch = bed.sent(100);
        bed.fail(101, &batch, unknown());
        let again = bed.sent(200);
        bed.answer(201, &again);
        let outcomes = bed.outcomes();
        match is_final {
            true => assert!(matches!(outcomes[..], [(1, Ok(Verdict::VersionConflict { .. }))])),
            false => assert_eq!(outcomes, [(1, Err(AppendError::OutcomeUnknown))], "{expected:?}"),
        }
    }
}

#[test]
fn a_lost_term_and_a_new_configuration_are_read_and_the_same_batch_goes_again() {
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    for change in [Log::reopen, Log::reconfigure] {
        let batch = bed.sent(100);
        change(&mut bed.log);
        bed.answer(100, &batch);
        assert!(matches!(bed.group.next(bed.at(200)), Next::FindPrimary));
        assert!(matches!(bed.group.next(bed.at(200)), Next::Wait(_)), "one search at a time");
        bed.group.found(bed.at(200), Ok(bed.log.primary()), 0.0);
    }
    let batch = bed.sent(300);
    bed.answer(301, &batch);
    assert!(matches!(bed.outcomes()[..], [(1, Ok(Verdict::Committed(_)))]));
}

#[test]
fn a_refusal_that_lasts_is_told_at_once_and_one_that_may_pass_at_the_deadline() {
    let refused = Failure::Refused { reason: RefusedReason::DiskFull, message: "full".into() };
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    let batch = bed.sent(0);
    bed.fail(1, &batch, OperationError::Failed(refused.clone()));
    assert_eq!(bed.errors(), [(1, AppendError::Source(refused))]);
    bed.offer(2, 1, 10);
    assert!(matches!(bed.group.next(bed.at(2)), Next::FindPrimary), "what failed is looked at again");
    bed.group.found(bed.at(3), Err(AppendError::NoPrimary), 0.0);
    bed.group.next(bed.at(500));
    assert!(bed.outcomes().is_empty());
    bed.group.next(bed.at(1_000));
    assert_eq!(bed.errors(), [(2, AppendError::NoPrimary)]);
}

#[test]
fn back_pressure_refuses_clients_and_lets_the_log_s_own_commits_through() {
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    let policy = polylog_log::Commit::set_policy(super::model::log_id(), at_version(1), b"{}".to_vec());
    bed.group.offer(policy, bed.at(1_000), 2).expect("room");
    bed.offer(3, 1, 10);
    let batch = bed.sent(0);
    assert_eq!(batch.commits.len(), 1, "nothing travels with a system commit");
    let head = Box::new(bed.log.head.clone());
    bed.fail(1, &batch, OperationError::Refused { reason: Refusal::BackPressure, head });
    assert!(matches!(bed.errors()[..], [(1, AppendError::Overloaded { .. })]));
    let batch = bed.sent(1);
    assert!(batch.commits.len() == 1 && batch.commits[0].is_system());
    bed.answer(2, &batch);
    assert!(matches!(bed.outcomes()[..], [(2, Ok(Verdict::Committed(_)))]));
}

fn at_version(version: u64) -> polylog_log::Version {
    polylog_log::Version::new(version)
}

#[test]
fn what_does_not_fit_is_refused_with_a_time_to_come_back() {
    let mut bed = Bed::new();
    bed.group = Group::new(QueueBounds { commits: 2, bytes: 1 << 20 }, Some(bed.log.primary()));
    bed.offer(1, 1, 2 << 20);
    let refuse = |bed: &mut Bed, bytes| {
        let commit = commit(9, "s-9", Expected::Any, 1, bytes);
        let deadline = bed.at(1_000);
        bed.group.offer(commit, deadline, 9).expect_err("full")
    };
    assert!(matches!(refuse(&mut bed, 1), (9, AppendError::Overloaded { .. })), "bytes");
    let batch = bed.sent(0);
    bed.answer(1, &batch);
    (2..4).for_each(|number| bed.offer(number, 1, 10));
    let (_, error) = refuse(&mut bed, 1);
    assert_eq!(error, AppendError::Overloaded { retry_after: ms(50) }, "number");
    assert_eq!(bed.group.waiting().0, 2);
}

#[test]
fn draining_refuses_what_comes_and_finishes_what_was_taken() {
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    bed.group.drain();
    let commit = commit(2, "s-2", Expected::Any, 1, 10);
    let deadline = bed.at(1_000);
    assert_eq!(bed.group.offer(commit, deadline, 2), Err((2, AppendError::Draining)));
    assert!(!bed.group.is_idle());
    let batch = bed.sent(0);
    bed.answer(1, &batch);
    assert_eq!(bed.outcomes().len(), 1);
    assert!(bed.group.is_idle());
}

#[test]
fn an_answer_that_does_not_fit_its_question_is_no_answer() {
    let mut bed = Bed::new();
    bed.offer(1, 1, 10);
    let batch = bed.sent(0);
    let mut appended = bed.log.append(&batch).expect("a good batch");
    appended.verdicts.clear();
    bed.group.appended(bed.at(1), batch.attempt, Ok(appended), 0.0);
    assert!(bed.outcomes().is_empty());
    let again = bed.sent(100);
    bed.answer(101, &again);
    assert!(matches!(bed.outcomes()[..], [(1, Ok(Verdict::Duplicate(_)))]));
}
