use uuid::Uuid;

use super::*;
use crate::{
    Acks, Config, DatabaseId, EventId, EventType, Expected, Incarnation, LogId, Member, NewEvent,
    StreamAppend, StreamName,
};

const NONCE: Nonce = Nonce::from_bytes([7; 16]);

fn fresh() -> Head {
    let identity = Identity {
        log: LogId::from_bytes([1; 16]),
        database: DatabaseId::from_bytes([2; 16]),
        incarnation: Incarnation::from_bytes([3; 16]),
    };
    let (database, incarnation) = (identity.database, identity.incarnation);
    Head::empty(identity, Config::implicit(Member { name: SourceName::recorded("a"), database, incarnation }))
}

fn commit(number: u128) -> Commit {
    let event = NewEvent::json(EventId::new(Uuid::from_u128(number)), EventType::recorded("T"), "1");
    let append = StreamAppend::new(StreamName::recorded("s"), Expected::Any, vec![event]);
    Commit::new(fresh().identity.log, vec![append])
}

fn admit(head: &Head, operation: Operation<'_>) -> Result<Effect, Refusal> {
    head.admit(&head.identity, operation, Rules::ALL)
}

fn append(head: &Head, batch: &[Commit], watermarks: Watermarks) -> Result<Effect, Refusal> {
    let (facts, clock) = (&Facts::default(), Timestamp::from_micros(5));
    let (term, config) = (head.term, head.config.config.version);
    admit(head, Operation::Append { term, config, batch, facts, watermarks, clock })
}

/// Opened for term 1.
fn primary() -> Head {
    let promised =
        admit(&fresh(), Operation::Promise { term: Term::FIRST, nonce: NONCE }).expect("a promise").head;
    let (facts, clock, primary) = (&Facts::default(), Timestamp::EPOCH, &SourceName::recorded("a"));
    let (term, tail) = (Term::FIRST, promised.tail);
    let opening = Opening { term, nonce: NONCE, tail, primary, forced: false, missing: &[], facts, clock };
    admit(&promised, Operation::Open(opening)).expect("opened").head
}

fn marks(stable: u64) -> Watermarks {
    Watermarks { stable: Position::new(stable), acked: Position::new(stable) }
}

/// The same head, with two more voters and a bound on what they lack.
fn with_replicas(head: Head, most: u64) -> Head {
    let mut config = (*head.config.config).clone();
    for name in ["b", "c"] {
        let (database, incarnation) = (DatabaseId::from_bytes([9; 16]), Incarnation::from_bytes([9; 16]));
        config.voters.push(Member { name: SourceName::recorded(name), database, incarnation });
    }
    config.acks = Acks::Majority;
    config.max_unreplicated_events = Some(most);
    Head { config: ConfigPoint { config: std::sync::Arc::new(config), ..head.config }, ..head }
}

#[test]
fn a_source_that_was_never_opened_takes_no_append_of_term_zero() {
    assert_eq!(append(&fresh(), &[commit(1)], marks(0)).map(drop), Err(Refusal::Fenced));
}

#[test]
fn each_admitted_operation_raises_the_revision_by_one() {
    let head = primary();
    assert_eq!(head.revision, 2);
    let after = append(&head, &[commit(1), commit(2)], marks(0)).expect("appended").head;
    assert_eq!(after.revision, 3);
}

#[test]
fn the_only_voter_is_its_own_majority() {
    let after = append(&primary(), &[commit(1)], marks(0)).expect("appended").head;
    assert_eq!(after.watermarks, marks(2));
    let replicated = with_replicas(primary(), 100);
    let after = append(&replicated, &[commit(1)], marks(0)).expect("appended").head;
    assert_eq!(after.watermarks, marks(1), "only what was stable before");
}

#[test]
fn an_append_that_tells_of_replicas_is_not_refused_for_lack_of_them() {
    let mut head = with_replicas(primary(), 1);
    for number in 1..=2 {
        head = append(&head, &[commit(number)], marks(0)).expect("within the bound").head;
    }
    assert_eq!(append(&head, &[commit(3)], marks(1)).map(drop), Err(Refusal::BackPressure));
    assert_eq!(append(&head, &[commit(3)], marks(2)).map(drop), Ok(()));
    assert_eq!(append(&head, &[], marks(0)).map(drop), Ok(()), "watermarks alone always pass");
}

#[test]
fn a_truncation_that_removes_nothing_is_no_cut() {
    let head = append(&primary(), &[commit(1)], marks(0)).expect("appended").head;
    let (term, keep, tail) = (Term::new(2), head.tail, head.tail);
    let kept = Some((keep, head.recorded_at));
    let truncating = Truncating { term, keep, tail, kept, config: &head.config };
    let effect = admit(&head, Operation::Truncate(truncating)).expect("allowed");
    assert_eq!((effect.cut, effect.head.cuts(), effect.head.term), (None, 0, term));
    assert_eq!(effect.head.grant, None, "the grant of the lower term is void");
}

#[cfg(feature = "conformance")]
#[test]
fn a_rule_that_is_off_is_not_applied() {
    let head = fresh();
    let of = Identity { log: LogId::from_bytes([9; 16]), ..head.identity };
    let promise = Operation::Promise { term: Term::FIRST, nonce: NONCE };
    assert_eq!(head.admit(&of, promise, Rules::ALL).map(drop), Err(Refusal::WrongStore));
    assert_eq!(head.admit(&of, promise, Rules::without(Rule::Identity)).map(drop), Ok(()));
}

/// Every operation that writes, on this head.
fn all_refuse(head: &Head, wanted: &Refusal) {
    let (facts, clock) = (&Facts::default(), Timestamp::EPOCH);
    let (term, primary) = (head.term.next(), &SourceName::recorded("a"));
    let (tail, config) = (head.tail, head.config.config.version);
    let batch = &[commit(1)];
    let opening = Opening { term, nonce: NONCE, tail, primary, forced: false, missing: &[], facts, clock };
    let truncating = Truncating { term, keep: tail, tail, kept: None, config: &head.config };
    let watermarks = Watermarks::default();
    let operations = [
        Operation::Promise { term, nonce: NONCE },
        Operation::Open(opening),
        Operation::Append { term: head.term, config, batch, facts, watermarks, clock },
        Operation::Append { term: head.term, config, batch: &[], facts, watermarks, clock },
        Operation::Apply(Applying { term, previous: tail, entries: &[], watermarks }),
        Operation::Truncate(truncating),
    ];
    for operation in operations {
        assert_eq!(admit(head, operation).err().as_ref(), Some(wanted), "{operation:?}");
    }
}

#[test]
fn nothing_is_written_into_what_a_newer_version_wrote() {
    assert!(append(&primary(), &[commit(1)], Watermarks::default()).is_ok());
    let newer = Head { format: FORMAT + 1, ..primary() };
    all_refuse(&newer, &Refusal::NewerFormat { found: FORMAT + 1, known: FORMAT });
    let mut newer = primary();
    let config = Config { version: ConfigVersion(7), is_newer: true, ..(*newer.config.config).clone() };
    newer.config.config = std::sync::Arc::new(config);
    all_refuse(&newer, &Refusal::NewerConfig(ConfigVersion(7)));
}
