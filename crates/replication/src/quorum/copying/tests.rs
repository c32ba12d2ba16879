use super::*;
use crate::quorum::written::tests::{empty, entries};

const CAP: Position = Position::new(6);

/// A source that stands here.
fn at(term: u64, tail: Point) -> Head {
    Head { term: Term::new(term), tail, ..empty() }
}

/// What the primary of term 1 gives.
fn page(entries: &[Entry]) -> LogPage {
    LogPage { entries: entries.to_vec(), head: Head { lead: Term::new(1), ..at(1, entries[0].point()) } }
}

/// The copying of six entries, of which the first two are being applied.
fn applying(entries: &[Entry]) -> Copying {
    let log = empty().identity.log;
    let mut copying =
        Copying::new(log, Term::new(1), From::Primary, SourceName::recorded("mirror"), Rules::default());
    copying.at(&at(1, Point::start(log)));
    let first = copying.next(CAP, Watermarks::default(), None);
    assert!(matches!(first, Step::ReadOrigin(ReadLog { from: Position::FIRST, to: CAP, .. })), "{first:?}");
    copying.origin_page(page(&entries[..2]));
    assert_eq!(applied(&mut copying), Ok(entries[..2].to_vec()));
    copying
}

/// The entries that are sent next, or what is done instead.
fn applied(copying: &mut Copying) -> Result<Vec<Entry>, Step> {
    match copying.next(CAP, Watermarks::default(), None) {
        Step::Apply(apply) => Ok(apply.entries.to_vec()),
        other => Err(other),
    }
}

#[test]
fn while_a_page_is_applied_the_next_one_is_read_and_no_more() {
    let entries = entries(1, &[(1, 9); 6]);
    let mut copying = applying(&entries);
    let ahead = copying.read_ahead(CAP).expect("more is wanted");
    assert_eq!((ahead.from, ahead.to), (Position::new(3), CAP));
    assert_eq!(copying.read_ahead(CAP), None, "it was asked for");
    copying.was_read_ahead(Some(page(&entries[2..4])));
    assert_eq!(copying.read_ahead(CAP), None, "one is enough");
    copying.changed(&Ok(at(1, entries[1].point())));
    assert_eq!(applied(&mut copying), Ok(entries[2..4].to_vec()));
    assert_eq!(copying.read_ahead(CAP).map(|read| read.from), Some(Position::new(5)));
    copying.changed(&Ok(at(1, entries[3].point())));
    assert_eq!(applied(&mut copying), Err(Step::Wait), "it is on its way");
    copying.was_read_ahead(Some(page(&entries[4..])));
    assert_eq!(applied(&mut copying), Ok(entries[4..].to_vec()));
    assert_eq!(copying.read_ahead(CAP), None, "that was all");
    copying.changed(&Ok(at(1, entries[5].point())));
    assert_eq!(applied(&mut copying), Err(Step::Level));
}

#[test]
fn what_was_read_ahead_is_left_where_it_does_not_continue_the_destination() {
    let (ours, others) = (entries(1, &[(1, 9); 6]), entries(2, &[(1, 9); 6]));
    let reads = |copying: &mut Copying, from: u64| {
        let next = copying.next(CAP, Watermarks::default(), None);
        let is_read = matches!(next, Step::ReadOrigin(ReadLog { from: at, .. }) if at == Position::new(from));
        assert!(is_read, "{next:?}");
    };
    let mut copying = applying(&ours);
    copying.read_ahead(CAP).expect("more is wanted");
    copying.was_read_ahead(Some(page(&others[2..4])));
    copying.changed(&Ok(at(1, ours[1].point())));
    reads(&mut copying, 3);

    let mut copying = applying(&ours);
    copying.read_ahead(CAP).expect("more is wanted");
    copying.was_read_ahead(Some(page(&ours[2..4])));
    // somebody else brought it further
    copying.changed(&Ok(at(1, ours[4].point())));
    reads(&mut copying, 5);

    let mut copying = applying(&ours);
    copying.read_ahead(CAP).expect("more is wanted");
    copying.was_read_ahead(None);
    copying.changed(&Ok(at(1, ours[1].point())));
    reads(&mut copying, 3);
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_is_left() {
    let entries = entries(1, &[(1, 9); 6]);
    let mut copying = applying(&entries);
    copying.read_ahead(CAP).expect("more is wanted");
    let unknown = Failure::Unreachable("no answer".into());
    copying.changed(&Err(OperationError::Unknown(unknown)));
    copying.was_read_ahead(Some(page(&entries[2..4])));
    copying.at(&at(1, entries[1].point()));
    let next = copying.next(CAP, Watermarks::default(), None);
    assert!(matches!(next, Step::ReadOrigin(_)), "{next:?}");
}

#[test]
fn what_was_read_ahead_under_another_term_ends_the_copying() {
    let entries = entries(1, &[(1, 9); 6]);
    let mut copying = applying(&entries);
    copying.read_ahead(CAP).expect("more is wanted");
    let LogPage { entries: read, head } = page(&entries[2..4]);
    copying.was_read_ahead(Some(LogPage { entries: read, head: Head { term: Term::new(2), ..head } }));
    assert_eq!(applied(&mut copying), Err(Step::Stop(Stop::Fenced)));
}
