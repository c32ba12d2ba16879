use polylog_log::{
    AggregateId, Category, CommitId, DataDigest, Digest, Event, EventId, EventType, Fingerprint, JSON, LogId,
    Position, StreamName, Term, Timestamp, Version,
};
use uuid::Uuid;

use super::*;

const ALL: PageLimits = PageLimits { events: usize::MAX, bytes: usize::MAX };

fn start() -> Point {
    Point::start(LogId::new(Uuid::from_u128(1)))
}

fn event(position: u64, event_type: &str) -> Event {
    Event {
        position: Position::new(position),
        stream: StreamName::recorded("a-1"),
        category: Category::recorded("a"),
        aggregate_id: AggregateId::recorded("1"),
        version: Version::new(position),
        id: EventId::new(Uuid::from_u128(position.into())),
        event_type: EventType::recorded(event_type),
        data: Some(vec![b'1'; 100].into()),
        data_digest: DataDigest::of(b""),
        content_type: JSON.into(),
        metadata: None,
        correlation_id: None,
        causation_id: None,
        time: Timestamp::EPOCH,
        recorded_at: Timestamp::EPOCH,
        first: Position::new(position),
        last: Position::new(position),
        commit_id: CommitId::new(Uuid::from_u128(position.into())),
        digest: Digest::from_bytes([0; 16]),
    }
}

/// Entries of two events each.
fn entries(from: Point, count: usize, event_type: &str) -> Vec<Entry> {
    let mut at = from;
    let entry = |_| {
        let first = at.position.next();
        let events = vec![event(first.get(), event_type), event(first.next().get(), event_type)];
        let (term, fingerprint) = (Term::FIRST, Fingerprint::from_bytes([0; 16]));
        let chain = Entry::compute_chain(at.chain, term, fingerprint, events.iter());
        let entry = Entry { term, fingerprint, events, chain };
        at = entry.point();
        entry
    };
    (0..count).map(entry).collect()
}

fn positions(found: Found) -> (Vec<u64>, u64) {
    match found {
        Found::Events(events, at) => {
            (events.iter().map(|event| event.event.position.get()).collect(), at.position.get())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_window_stays_within_its_bytes_and_drops_the_oldest() {
    let recent = Recent::new(10_000);
    recent.begin(start());
    let all = entries(start(), 200, "A");
    for entry in all.clone() {
        assert!(recent.extend(vec![entry]));
        let held = recent.window.lock().as_ref().expect("begun").events.len();
        assert!(held * (100 + EVENT_OVERHEAD) <= 10_000, "{held} events");
    }
    assert_eq!(recent.after(start(), ALL, true), Found::Gone);
    let late = all[197].point();
    assert_eq!(positions(recent.after(late, ALL, true)), ((397..=400).collect(), 400));
    assert_eq!(recent.after(all[199].point(), ALL, true), Found::End);
}

#[test]
fn a_cursor_gets_what_follows_it_within_its_limits_and_also_inside_an_entry() {
    let recent = Recent::new(1 << 20);
    assert_eq!(recent.after(start(), ALL, true), Found::Gone, "there is no window yet");
    recent.begin(start());
    let all = entries(start(), 3, "A");
    recent.extend(all.clone());
    let three = PageLimits { events: 3, ..ALL };
    let Found::Events(events, at) = recent.after(start(), three, true) else { panic!("events") };
    assert_eq!((events.len(), at.position.get(), at.chain), (3, 3, all[1].chain));
    assert_eq!(positions(recent.after(at, three, true)), (vec![4, 5, 6], 6));
    let little = PageLimits { bytes: 1, ..ALL };
    assert_eq!(positions(recent.after(start(), little, true)), (vec![1], 1), "one, however large");
    let more = entries(all[2].point(), 1, "$term");
    recent.extend(more);
    assert_eq!(positions(recent.after(all[2].point(), ALL, false)), (vec![], 8), "past what is hidden");
}

#[test]
fn another_history_is_not_mistaken_for_this_one() {
    let recent = Recent::new(1 << 20);
    recent.begin(start());
    let (own, other) = (entries(start(), 3, "A"), entries(start(), 4, "B"));
    // Digests are not computed here, so make the histories differ in a digest.
    let differ = |mut entries: Vec<Entry>| {
        let mut at = start();
        for entry in &mut entries {
            entry.events[0].digest = Digest::from_bytes([1; 16]);
            entry.chain = Entry::compute_chain(at.chain, entry.term, entry.fingerprint, entry.events.iter());
            at = entry.point();
        }
        entries
    };
    let other = differ(other);
    recent.extend(own);
    assert_eq!(recent.after(other[1].point(), ALL, true), Found::OtherHistory);
    assert_eq!(recent.after(other[2].point(), ALL, true), Found::OtherHistory, "at the end");
    assert!(!recent.extend(other[3..].to_vec()), "it does not continue");
}
