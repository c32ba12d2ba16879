//! Random sequences of everything that can happen.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use polylog_log::{Commit, Expected, Failure, OperationError, Position, Refusal, Verdict};
use proptest::prelude::*;

use super::{
    super::{BATCH_BYTES, BATCH_EVENTS, Batch, Group, Next, Outcome},
    model::{Log, at, commit},
};
use crate::{AppendError, QueueBounds};

const BOUNDS: QueueBounds = QueueBounds { commits: 6, bytes: 3 << 20 };

#[derive(Debug, Clone)]
enum Step {
    Offer {
        id: u32,
        stream: u8,
        expected: u8,
        size: u8,
        patience: u16,
    },
    Pass(u16),
    Answer(Answer),
    Found(u8),
    /// Some other process interferes.
    Reopen,
    Reconfigure,
    /// A request that was lost on its way arrives.
    Arrive,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Good,
    ReplyLost,
    LostForNow,
    LostForEver,
    FailedForNow,
    FailedForGood,
    BackPressure,
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![
        6 => Just(Answer::Good),
        2 => Just(Answer::ReplyLost),
        2 => Just(Answer::LostForNow),
        1 => Just(Answer::LostForEver),
        2 => Just(Answer::FailedForNow),
        1 => Just(Answer::FailedForGood),
        1 => Just(Answer::BackPressure),
    ];
    prop_oneof![
        8 => (0..40u32, 0..3u8, 0..6u8, 0..8u8, 1..400u16)
            .prop_map(|(id, stream, expected, size, patience)| {
                Step::Offer { id, stream, expected, size, patience }
            }),
        3 => (0..120u16).prop_map(Step::Pass),
        8 => answer.prop_map(Step::Answer),
        3 => (0..4u8).prop_map(Step::Found),
        1 => Just(Step::Reopen),
        1 => Just(Step::Reconfigure),
        2 => Just(Step::Arrive),
    ]
}

struct Offered {
    commit: Commit,
    deadline: Instant,
    /// How it was answered, and when it was answered.
    outcome: Option<Outcome>,
}

struct World {
    now: Instant,
    log: Log,
    group: Group<usize>,
    offered: Vec<Offered>,
    in_flight: Option<Batch>,
    is_finding: bool,
    lost: Vec<Batch>,
}

impl World {
    fn new() -> Self {
        let log = Log::open();
        let group = Group::new(BOUNDS, Some(log.primary()));
        let (offered, lost) = (Vec::new(), Vec::new());
        Self { now: Instant::now(), log, group, offered, in_flight: None, is_finding: false, lost }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Offer { id, stream, expected, size, patience } => {
                self.offer(id, stream, expected, size, patience);
            }
            Step::Pass(millis) => self.now += Duration::from_millis(millis.into()),
            Step::Answer(answer) => self.answer(answer),
            Step::Found(how) => self.found(how),
            Step::Reopen => self.log.reopen(),
            Step::Reconfigure => self.log.reconfigure(),
            Step::Arrive => self.arrive(),
        }
        self.look();
    }

    fn offer(&mut self, id: u32, stream: u8, expected: u8, size: u8, patience: u16) {
        let expected = match expected {
            0 => Expected::NoStream,
            1 => Expected::Exists,
            2 => at(2),
            _ => Expected::Any,
        };
        let (events, bytes) =
            [(0, 0), (1, 10), (1, 10), (2, 10), (3, 10), (400, 1), (1, 600_000), (1, 2 << 20)]
                [usize::from(size)];
        let commit = commit(id, &format!("s-{stream}"), expected, events, bytes);
        let deadline = self.now + Duration::from_millis(patience.into());
        let was_empty = self.group.waiting().0 == 0;
        match self.group.offer(commit.clone(), deadline, self.offered.len()) {
            Ok(_) => self.offered.push(Offered { commit, deadline, outcome: None }),
            Err((_, error)) => {
                assert!(matches!(error, AppendError::Overloaded { .. }));
                assert!(!was_empty, "an empty queue takes anything");
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        let Some(batch) = self.in_flight.take() else { return };
        let gone = || Failure::Unreachable("gone".into());
        let result = match answer {
            Answer::Good => self.log.append(&batch),
            Answer::ReplyLost => {
                // Whether it was refused is as unknown as whether it was written.
                let _ = self.log.append(&batch);
                Err(OperationError::Unknown(gone()))
            }
            Answer::LostForNow => {
                self.lost.push(batch.clone());
                Err(OperationError::Unknown(gone()))
            }
            Answer::LostForEver => Err(OperationError::Unknown(gone())),
            Answer::FailedForNow => Err(OperationError::Failed(gone())),
            Answer::FailedForGood => Err(OperationError::Failed(Failure::NotProvisioned("gone".into()))),
            Answer::BackPressure => {
                let head = Box::new(self.log.head.clone());
                Err(OperationError::Refused { reason: Refusal::BackPressure, head })
            }
        };
        self.group.appended(self.now, batch.attempt, result, 0.5);
    }

    fn found(&mut self, how: u8) {
        if !std::mem::take(&mut self.is_finding) {
            return;
        }
        let result = match how {
            0 => Err(AppendError::NoPrimary),
            1 => Err(AppendError::NotSupported("three voters".into())),
            _ => Ok(self.log.primary()),
        };
        self.group.found(self.now, result, 0.5);
    }

    fn arrive(&mut self) {
        if !self.lost.is_empty() {
            // Nobody hears what became of it.
            let _ = self.log.append(&self.lost.remove(0));
        }
    }

    /// Asks the machine what to do, and checks what must always hold.
    fn look(&mut self) {
        let next = self.group.next(self.now);
        match next {
            Next::Append(batch) => {
                assert!(!self.is_finding);
                let abandoned = self.in_flight.replace(batch.clone());
                assert!(abandoned.is_none_or(|old| !self.group.awaits(old.attempt)), "one append in flight");
                let events: usize = batch.commits.iter().map(Commit::event_count).sum();
                let bytes: usize = batch.commits.iter().map(Commit::size).sum();
                let fits = events <= BATCH_EVENTS && bytes <= BATCH_BYTES;
                assert!(fits || batch.commits.len() == 1, "{events} events, {bytes} bytes");
                assert!(!batch.commits.is_empty());
            }
            Next::FindPrimary => {
                assert!(!self.is_finding, "one search at a time");
                self.is_finding = true;
            }
            Next::Gather(until) => assert!(until > self.now),
            Next::Wait(until) => assert!(until.is_none_or(|until| until > self.now)),
        }
        if self.in_flight.as_ref().is_some_and(|batch| !self.group.awaits(batch.attempt)) {
            // The driver drops it: whether it is executed later is open.
            self.lost.extend(self.in_flight.take());
        }
        let (commits, bytes) = self.group.waiting();
        assert!(commits <= BOUNDS.commits);
        assert!(bytes <= BOUNDS.bytes || commits == 1);
        for (index, outcome) in self.group.take_outcomes() {
            self.check_outcome(index, outcome);
        }
        for offered in &self.offered {
            assert!(offered.outcome.is_some() || self.now < offered.deadline, "a deadline passed in silence");
        }
    }

    fn check_outcome(&mut self, index: usize, outcome: Outcome) {
        let offered = &mut self.offered[index];
        assert!(offered.outcome.is_none(), "answered twice");
        if let Ok(Verdict::Committed(receipt) | Verdict::Duplicate(receipt)) = &outcome {
            let held = self.log.positions_of(&offered.commit);
            assert_eq!(held, [receipt.first], "answered as written, but it is not there once");
        }
        offered.outcome = Some(outcome);
    }

    /// Lets everything go well from here on, and then every lost request arrive.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            self.answer(Answer::Good);
            self.found(3);
            self.look();
            if self.group.is_idle() {
                break;
            }
            if self.in_flight.is_none() && !self.is_finding {
                self.now += Duration::from_millis(1);
                self.look();
            }
        }
        assert!(self.group.is_idle(), "somebody starves");
        while !self.lost.is_empty() {
            self.arrive();
        }
    }

    fn check_end(&self) {
        let mut tries: HashMap<_, usize> = HashMap::new();
        for offered in &self.offered {
            *tries.entry(offered.commit.id).or_default() += 1;
        }
        let mut last: HashMap<&str, Position> = HashMap::new();
        for offered in &self.offered {
            let outcome = offered.outcome.as_ref().expect("answered");
            let held = self.log.positions_of(&offered.commit);
            assert!(held.len() <= 1, "written twice");
            let is_unconditional = offered.commit.appends[0].expected == Expected::Any;
            let is_only_try = tries[&offered.commit.id] == 1;
            match outcome {
                // A commit whose condition did not hold in a try without a reply may be written by the next one, after
                // those that went through in the first; one without a condition keeps its place.
                Ok(Verdict::Committed(_) | Verdict::Duplicate(_)) if is_only_try && is_unconditional => {
                    let stream = offered.commit.appends[0].stream.as_str();
                    let before = last.insert(stream, held[0]);
                    assert!(
                        before.is_none_or(|before| before < held[0]),
                        "the order of a stream was changed"
                    );
                }
                Ok(Verdict::Committed(_) | Verdict::Duplicate(_)) => {}
                Err(AppendError::OutcomeUnknown) => {}
                // Everything else says: nothing is written, and nothing will be.
                other if is_only_try => assert!(held.is_empty(), "{other:?}, but it was written"),
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everybody_is_told_the_truth_once(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.settle();
        world.check_end();
    }
}
