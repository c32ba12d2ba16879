use std::sync::Arc;

use polylog_log::{Config, ConfigVersion, DatabaseId, Incarnation, LogId, Member, Point, Rules};

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn identity() -> Identity {
    let (log, database) = (LogId::new(id(1)), DatabaseId::new(id(2)));
    Identity { log, database, incarnation: Incarnation::new(id(3)) }
}

fn member(database: u128) -> Member {
    let (database, incarnation) = (DatabaseId::new(id(database)), Incarnation::new(id(3)));
    Member { name: SourceName::recorded("ledger"), database, incarnation }
}

fn empty() -> Head {
    Head::empty(identity(), Config::implicit(member(2)))
}

fn election(may_open: bool) -> Election {
    Election::new(identity(), SourceName::recorded("ledger"), may_open)
}

/// What a source would answer to a promise.
fn promised(head: &Head, term: u64, nonce: u128) -> Head {
    let (term, nonce) = (Term::new(term), Nonce::new(id(nonce)));
    let operation = polylog_log::Operation::Promise { term, nonce };
    head.admit(&identity(), operation, Rules::ALL).expect("a good promise").head
}

#[test]
fn an_empty_log_is_promised_and_opened_at_the_tail_of_the_grant() {
    let (now, mut election) = (Instant::now(), election(true));
    let promise = Decision::Promise(Term::FIRST, Nonce::new(id(77)));
    assert_eq!(election.decide(now, &empty(), 77), promise);
    let granted = promised(&empty(), 1, 77);
    let Decision::Open(open) = election.decide(now, &granted, 78) else { panic!("opens") };
    assert_eq!((open.term, open.nonce, open.tail), (Term::FIRST, Nonce::new(id(77)), granted.tail));
    let opened = Head { lead: Term::FIRST, ..granted };
    assert_eq!(election.decide(now, &opened, 79), Decision::Use);
}

#[test]
fn another_s_attempt_gets_its_time_and_only_then_a_higher_term_is_promised() {
    let (now, mut election) = (Instant::now(), election(true));
    let other = promised(&empty(), 1, 5);
    assert_eq!(election.decide(now, &other, 0), Decision::Wait);
    assert_eq!(election.decide(now + PATIENCE / 3, &other, 0), Decision::Wait);
    let moved = promised(&other, 2, 6);
    assert_eq!(election.decide(now + PATIENCE, &moved, 0), Decision::Wait, "it lives: the time begins anew");
    let promise = Decision::Promise(Term::new(3), Nonce::new(id(9)));
    assert_eq!(election.decide(now + PATIENCE * 2, &moved, 9), promise);
}

#[test]
fn an_attempt_does_not_outlive_its_process() {
    let now = Instant::now();
    let granted = promised(&empty(), 1, 77);
    let mut restarted = election(true);
    assert_eq!(restarted.decide(now, &granted, 1), Decision::Wait, "that nonce is nobody's any more");
    let promise = Decision::Promise(Term::new(2), Nonce::new(id(2)));
    assert_eq!(restarted.decide(now + PATIENCE, &granted, 2), promise);
}

#[test]
fn who_may_not_open_waits_for_an_open_and_configured_log() {
    let (now, mut election) = (Instant::now(), election(false));
    assert_eq!(election.decide(now, &empty(), 0), Decision::Wait);
    let opened = Head { lead: Term::FIRST, ..promised(&empty(), 1, 5) };
    assert_eq!(election.decide(now, &opened, 0), Decision::Wait, "there is no $config yet");
    let mut configured = opened;
    let config = Config { version: ConfigVersion(1), ..Config::implicit(member(2)) };
    configured.config.config = Arc::new(config);
    assert_eq!(election.decide(now, &configured, 0), Decision::Use);
}

#[test]
fn what_this_version_cannot_use_is_refused() {
    let refusal = |head: &Head| match election(true).decide(Instant::now(), head, 0) {
        Decision::Refuse(error) => error,
        other => panic!("{other:?}"),
    };
    let other_log = Identity { log: LogId::new(id(9)), ..identity() };
    let foreign = Head { identity: other_log, tail: Point::start(other_log.log), ..empty() };
    assert!(matches!(refusal(&foreign), AppendError::Source(Failure::WrongStore(_))));
    let newer = Head { format: FORMAT + 1, ..empty() };
    assert!(matches!(refusal(&newer), AppendError::Source(Failure::FormatTooNew { .. })));
    let mut two = empty();
    let voters = vec![member(2), member(4)];
    two.config.config = Arc::new(Config { voters, ..Config::implicit(member(2)) });
    assert!(matches!(refusal(&two), AppendError::NotSupported(_)));
    let mut other_voter = empty();
    other_voter.config.config = Arc::new(Config::implicit(member(4)));
    assert!(matches!(refusal(&other_voter), AppendError::Source(Failure::WrongStore(_))));
}

#[test]
fn a_primary_of_a_newer_format_is_used_for_what_can_be_read() {
    let mut head = Head { lead: Term::FIRST, format: FORMAT + 1, ..promised(&empty(), 1, 5) };
    let config = Config { version: ConfigVersion(1), ..Config::implicit(member(2)) };
    head.config.config = Arc::new(config);
    for may_open in [false, true] {
        assert_eq!(election(may_open).decide(Instant::now(), &head, 0), Decision::Use);
    }
}
