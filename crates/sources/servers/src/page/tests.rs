use polylog_log::{
    AggregateId, Category, Chain, CommitId, Config, Cut, DataDigest, DatabaseId, Digest, Event, EventId,
    EventType, Failure, Head, Identity, Incarnation, LogId, Member, Point, Position, SourceName, StreamName,
    Term, Timestamp, Version,
};
use uuid::Uuid;

use super::{Guess, Page, Read, Reading, Room};
use crate::entries::StoredEvent;

/// Takes events up to a position.
struct Positions {
    to: u64,
    taken: Vec<u64>,
    room: Room,
}

impl Positions {
    fn up_to(to: u64) -> Self {
        let guess = Guess { average: 1, most_rows: 2 };
        Self { to, taken: Vec::new(), room: Room::new(usize::MAX, usize::MAX, guess) }
    }
}

impl Page for Positions {
    fn room(&self) -> &Room {
        &self.room
    }

    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        let position = stored.event.position.get();
        if position > self.to {
            return Ok(false);
        }
        self.taken.push(position);
        Ok(true)
    }
}

fn head(tail: u64, cuts: u64) -> Head {
    let id = Uuid::from_u128(1);
    let (log, database) = (LogId::new(id), DatabaseId::new(id));
    let identity = Identity { log, database, incarnation: Incarnation::new(id) };
    let name = SourceName::parse("main").expect("a good name");
    let voter = Member { name, database, incarnation: identity.incarnation };
    let mut head = Head::empty(identity, Config::implicit(voter));
    let point = |position| Point {
        position: Position::new(position),
        term: Term::FIRST,
        chain: Chain::from_bytes([1; 16]),
    };
    head.tail = point(tail);
    head.last_cut =
        (cuts > 0).then(|| Cut { number: cuts, keep: point(1), removed: point(2), term: Term::FIRST });
    head
}

fn event(position: u64) -> StoredEvent {
    let position = Position::new(position);
    let event = Event {
        position,
        first: position,
        last: position,
        version: Version::FIRST,
        recorded_at: Timestamp::EPOCH,
        time: Timestamp::EPOCH,
        id: EventId::new(Uuid::from_u128(1)),
        commit_id: CommitId::new(Uuid::from_u128(1)),
        stream: StreamName::recorded("s"),
        category: Category::recorded("s"),
        aggregate_id: AggregateId::recorded(""),
        event_type: EventType::recorded("t"),
        digest: Digest::from_bytes([0; 16]),
        data_digest: DataDigest::from_bytes([0; 32]),
        content_type: "application/json".into(),
        correlation_id: None,
        causation_id: None,
        metadata: None,
        data: None,
    };
    StoredEvent { event, term: Term::FIRST, chain: Chain::from_bytes([1; 16]), fingerprint: None }
}

/// Reads parts of rows, each with its head, as an engine does; gives the page and the parts that were not needed.
fn read(to: u64, parts: &[(Head, &[u64])]) -> Result<(Read<Positions>, usize), Failure> {
    let mut reading = Reading::new(|| Positions::up_to(to));
    for (at, (head, rows)) in parts.iter().enumerate() {
        let (_, most) = reading.next_part();
        assert!(rows.len() <= most, "{most} were asked for");
        if !reading.begin(head.clone(), Some(format!("note {at}")))? {
            continue;
        }
        for row in *rows {
            if !reading.take(event(*row))? {
                break;
            }
        }
        reading = match reading.finish() {
            Ok(read) => return Ok((read, parts.len() - at - 1)),
            Err(reading) => reading,
        };
    }
    panic!("another part is wanted");
}

#[test]
fn a_part_with_fewer_rows_than_asked_for_is_the_last() {
    let (read, left) = read(9, &[(head(3, 0), &[1, 2]), (head(3, 0), &[3])]).expect("a page");
    assert_eq!((read.page.taken, read.is_complete, left), (vec![1, 2, 3], true, 0));
}

#[test]
fn what_is_not_wanted_ends_it_and_more_may_be_left() {
    let (read, left) = read(1, &[(head(3, 0), &[1, 2]), (head(3, 0), &[3])]).expect("a page");
    assert_eq!((read.page.taken, read.is_complete, left), (vec![1], false, 1));
}

#[test]
fn head_and_note_are_those_of_the_first_part_and_nothing_after_its_tail_is_taken() {
    let (read, left) = read(9, &[(head(3, 0), &[1, 2]), (head(5, 0), &[3, 4])]).expect("a page");
    assert_eq!((read.page.taken, read.is_complete, left), (vec![1, 2, 3], true, 0));
    assert_eq!((read.head.tail.position.get(), read.note.as_deref()), (3, Some("note 0")));
}

#[test]
fn a_truncation_between_two_parts_begins_it_again() {
    let parts: [(Head, &[u64]); 4] =
        [(head(3, 0), &[1, 2]), (head(2, 1), &[7]), (head(2, 1), &[1, 2]), (head(2, 1), &[])];
    let (read, left) = read(9, &parts).expect("a page");
    assert_eq!((read.page.taken, read.is_complete, left), (vec![1, 2], true, 0));
    assert_eq!((read.head.cuts(), read.note.as_deref()), (1, Some("note 2")));
}

#[test]
fn truncations_without_end_are_an_error() {
    let heads: Vec<(Head, &[u64])> = (0..40).map(|number| (head(3, number), &[1, 2][..])).collect();
    assert!(matches!(read(9, &heads), Err(Failure::Unreachable(_))));
}
