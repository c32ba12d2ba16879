use std::time::Duration;

use polylog_log::{DatabaseId, Incarnation, Member, Position};

use super::*;

fn name(number: u8) -> SourceName {
    SourceName::parse(&format!("s{number}")).expect("a good name")
}

/// Who is asked for something once three sources with logs of these lengths have promised; the first is preferred.
fn chosen(lengths: [u64; 3], mode: Mode) -> SourceName {
    let log = LogId::from_bytes([1; 16]);
    let identity = |number: u8| Identity {
        log,
        database: DatabaseId::from_bytes([number; 16]),
        incarnation: Incarnation::from_bytes([number; 16]),
    };
    let member = |number: u8| {
        let Identity { database, incarnation, .. } = identity(number);
        Member { name: name(number), database, incarnation }
    };
    let mut config = Config::implicit(member(0));
    config.voters = (0..3).map(member).collect();
    config.order = (0..3).map(name).collect();
    let (term, nonce, now) = (Term::new(2), Nonce::from_bytes([7; 16]), Instant::now());
    let late = now + Duration::from_secs(3);
    let mut attempt = Attempt::new(log, term, nonce, mode, late, late, false, Rules::default());
    let ready: Vec<_> = (0..3).map(|number| (name(number), identity(number))).collect();
    assert_eq!(attempt.next(now, &ready).len(), 3, "all are asked to promise");
    for (number, length) in (0..).zip(lengths) {
        let mut head = Head::empty(identity(number), config.clone());
        (head.term, head.grant) = (term, Some(nonce));
        head.tail = Point { position: Position::new(length), term: Term::new(1), ..head.tail };
        attempt.changed(&name(number), &Ok(head));
    }
    attempt.next(now, &ready);
    attempt.chosen.expect("a majority promised").primary
}

#[test]
fn the_first_in_order_becomes_primary_unless_it_is_far_behind() {
    assert_eq!(chosen([10_000, 10_000, 10_000], Mode::Majority), name(0));
    assert_eq!(chosen([9_000, 10_000, 10_000], Mode::Majority), name(0), "filled in a moment");
    assert_eq!(chosen([10, 10_000, 10_000], Mode::Majority), name(1));
    assert_eq!(chosen([10, 20, 10_000], Mode::Majority), name(2), "the others are further behind");
    assert_eq!(chosen([10, 5_000, 10_000], Mode::Replace { to: name(1) }), name(1), "the operator's word");
}
