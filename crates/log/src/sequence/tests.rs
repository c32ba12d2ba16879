use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{Config, DatabaseId, EventType, Identity, Incarnation, LogId, Member, SourceName};

const LOG: LogId = LogId::from_bytes([1; 16]);

fn fresh() -> Head {
    let (database, incarnation) = (DatabaseId::from_bytes([2; 16]), Incarnation::from_bytes([3; 16]));
    let name = SourceName::recorded("a");
    let identity = Identity { log: LOG, database, incarnation };
    Head::empty(identity, Config::implicit(Member { name, database, incarnation }))
}

/// Few streams, few ids: so that commits often meet each other.
fn some_append() -> impl Strategy<Value = StreamAppend> {
    let expected = prop_oneof![
        4 => Just(Expected::Any),
        1 => Just(Expected::NoStream),
        1 => Just(Expected::Exists),
        2 => (0_u64..4).prop_map(|version| Expected::Version(Version::new(version))),
    ];
    let event = (0_u128..24, 0_u8..2).prop_map(|(id, data)| {
        NewEvent::json(EventId::new(Uuid::from_u128(id)), EventType::recorded("T"), data.to_string())
    });
    let category = prop::option::weighted(0.2, prop_oneof![Just("s"), Just("other")]);
    (0_usize..3, expected, category, prop::collection::vec(event, 0..3)).prop_map(
        |(stream, expected, category, events)| {
            let append =
                StreamAppend::new(StreamName::recorded(["s-0", "s-1", "s-2"][stream]), expected, events);
            StreamAppend { category: category.map(Category::recorded), ..append }
        },
    )
}

fn some_batch() -> impl Strategy<Value = Vec<Commit>> {
    let commit = prop::collection::vec(some_append(), 1..3).prop_map(|mut appends| {
        let mut seen = HashSet::new();
        appends.retain(|append| seen.insert(append.stream.clone()));
        Commit::new(LOG, appends)
    });
    prop::collection::vec(commit, 1..12)
}

/// What a log holds of what a batch names, found by looking at every event.
fn facts(log: &[Entry], batch: &[Commit]) -> Facts {
    let (wanted, mut facts) = (Wanted::by_batch(batch), Facts::default());
    for entry in log {
        let event = &entry.events[0];
        if wanted.commits.contains(&event.commit_id) {
            let (receipt, fingerprint) = (CommitReceipt::of(entry), entry.fingerprint);
            facts
                .commits
                .insert(event.commit_id, RecordedCommit { receipt, fingerprint, first_event: event.id });
        }
        for event in &entry.events {
            if wanted.streams.contains(&event.stream) {
                let (category, aggregate_id) = (event.category.clone(), event.aggregate_id.clone());
                let head = StreamHead { version: event.version, category, aggregate_id };
                facts.streams.insert(event.stream.clone(), head);
            }
            if wanted.events.contains(&event.id) {
                facts.events.insert(event.id, (event.stream.clone(), event.position));
            }
        }
    }
    facts
}

fn sequence(head: &Head, log: &mut Vec<Entry>, batch: &[Commit]) -> (Vec<Verdict>, Head) {
    let facts = facts(log, batch);
    let mut sequencer = Sequencer::new(head.clone(), &facts, Timestamp::from_micros(9), Rules::ALL);
    let verdicts = batch.iter().map(|commit| sequencer.commit(commit)).collect();
    let (head, entries) = sequencer.finish();
    log.extend(entries);
    (verdicts, head)
}

/// A commit within itself names an id twice: no log holds a place to tell, so the verdicts cannot be compared by place.
fn is_sound(commit: &Commit) -> bool {
    let mut seen = HashSet::new();
    commit.events().all(|event| seen.insert(event.id))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A batch gets the verdicts and the log that its commits would get one by one.
    #[test]
    fn a_batch_is_as_good_as_its_commits_alone(batch in some_batch()) {
        let batch: Vec<_> = batch.into_iter().filter(is_sound).collect();
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        let (verdicts, head) = sequence(&fresh(), &mut together, &batch);
        let mut head_alone = fresh();
        let mut verdicts_alone = Vec::new();
        for commit in &batch {
            let (verdict, after) = sequence(&head_alone, &mut alone, std::slice::from_ref(commit));
            verdicts_alone.extend(verdict);
            head_alone = after;
        }
        prop_assert_eq!(verdicts, verdicts_alone);
        prop_assert_eq!(together, alone);
        prop_assert_eq!(head, head_alone);
    }

    /// Whatever comes: entries follow each other, versions are dense, ids and commits stand once, and a verdict tells
    /// whether its commit was written.
    #[test]
    fn what_is_written_is_a_log(batches in prop::collection::vec(some_batch(), 1..4)) {
        let (mut log, mut head, mut written) = (Vec::new(), fresh(), 0);
        for batch in &batches {
            let (verdicts, after) = sequence(&head, &mut log, batch);
            prop_assert_eq!(verdicts.len(), batch.len());
            written += verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Committed(_))).count();
            for (commit, verdict) in batch.iter().zip(&verdicts) {
                if let Verdict::Committed(receipt) | Verdict::Duplicate(receipt) = verdict {
                    let entry = log.iter().find(|entry| entry.commit_id() == Some(commit.id));
                    let recorded = entry.map(CommitReceipt::of);
                    prop_assert_eq!(recorded.as_ref(), Some(receipt));
                }
            }
            head = after;
        }
        prop_assert_eq!(log.len(), written);
        let (mut tail, mut ids, mut versions) = (Point::start(LOG), HashSet::new(), HashMap::new());
        for entry in &log {
            prop_assert_eq!(entry.follows(&tail), Ok(()));
            tail = entry.point();
            for event in &entry.events {
                prop_assert!(ids.insert(event.id));
                let version = versions.entry(&event.stream).or_insert(Version::ZERO);
                *version = version.next();
                prop_assert_eq!(event.version, *version);
            }
        }
        prop_assert_eq!(head.tail, tail);
    }

    /// Sending everything again writes nothing.
    #[test]
    fn a_second_try_writes_nothing(batch in some_batch()) {
        let mut log = Vec::new();
        let (first, head) = sequence(&fresh(), &mut log, &batch);
        let count = log.len();
        let committed: Vec<_> = batch
            .iter()
            .zip(&first)
            .filter(|(_, verdict)| matches!(verdict, Verdict::Committed(_) | Verdict::Duplicate(_)))
            .map(|(commit, _)| commit.clone())
            .collect();
        let (again, after) = sequence(&head, &mut log, &committed);
        let is_known = again.iter().all(|verdict| matches!(verdict, Verdict::Duplicate(_)));
        prop_assert!(is_known, "{:?}", again);
        prop_assert_eq!((log.len(), after), (count, head));
    }
}

#[test]
fn an_id_twice_in_one_commit_is_a_conflict_without_a_place() {
    let event = NewEvent::json(EventId::from_bytes([5; 16]), EventType::recorded("T"), "1");
    let append = StreamAppend::new(StreamName::recorded("s"), Expected::Any, vec![event.clone(), event]);
    let (verdicts, head) = sequence(&fresh(), &mut Vec::new(), &[Commit::new(LOG, vec![append])]);
    assert!(matches!(&verdicts[..], [Verdict::IdConflict { position: Position::ZERO, .. }]), "{verdicts:?}");
    assert_eq!(head, fresh());
}
