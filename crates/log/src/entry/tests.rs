use proptest::prelude::*;

use super::*;
use crate::{AggregateId, Category, DataDigest, Digest, EventId, EventType, JSON, StreamName, Version};

const LOG: LogId = LogId::from_bytes([1; 16]);

/// A log of entries of these sizes.
fn log(sizes: &[usize]) -> Vec<Entry> {
    let mut tail = Point::start(LOG);
    let entry = |(index, size): (usize, &usize)| {
        let first = tail.position.next();
        let last = tail.position.plus(*size as u64);
        let commit_id = CommitId::from_bytes([index as u8; 16]);
        let event = |offset: u64| {
            let position = first.plus(offset);
            let data = bytes::Bytes::from(format!("[{position}]"));
            let mut event = Event {
                position,
                stream: StreamName::recorded("s-1"),
                category: Category::recorded("s"),
                aggregate_id: AggregateId::recorded("1"),
                version: Version::new(position.get()),
                id: EventId::from_bytes(u128::from(position.get()).to_be_bytes()),
                event_type: EventType::recorded("T"),
                data_digest: DataDigest::of(&data),
                data: Some(data),
                content_type: JSON.into(),
                metadata: None,
                correlation_id: None,
                causation_id: None,
                time: Timestamp::EPOCH,
                recorded_at: Timestamp::EPOCH,
                first,
                last,
                commit_id,
                digest: Digest::from_bytes([0; 16]),
            };
            event.digest = event.compute_digest();
            event
        };
        let events: Vec<_> = (0..*size as u64).map(event).collect();
        let (term, fingerprint) = (Term::new(index as u64 / 2), Fingerprint::from_bytes([index as u8; 16]));
        let chain = Entry::compute_chain(tail.chain, term, fingerprint, events.iter());
        let entry = Entry { term, fingerprint, events, chain };
        tail = entry.point();
        entry
    };
    sizes.iter().enumerate().map(entry).collect()
}

fn verify(entries: &[Entry]) -> Result<Point, EntryError> {
    entries.iter().try_fold(Point::start(LOG), |tail, entry| entry.follows(&tail).map(|()| entry.point()))
}

/// Changes one thing of an event; each change is one that a digest must show.
fn damage(event: &mut Event, kind: usize) {
    let text = |text: &str| Some(text.to_owned());
    match kind {
        0 => event.position = event.position.next(),
        1 => event.stream = StreamName::recorded("s-2"),
        2 => event.category = Category::recorded("t"),
        3 => event.aggregate_id = AggregateId::recorded("2"),
        4 => event.version = event.version.next(),
        5 => event.id = EventId::from_bytes([9; 16]),
        6 => event.event_type = EventType::recorded("U"),
        7 => event.data = Some("other".into()),
        8 => event.data_digest = DataDigest::of(b"other"),
        9 => event.content_type.push('x'),
        10 => event.metadata = Some("".into()),
        11 => event.correlation_id = text(""),
        12 => event.causation_id = text(""),
        13 => event.time = Timestamp::from_micros(1),
        14 => event.recorded_at = Timestamp::from_micros(-1),
        15 => event.first = event.first.next(),
        16 => event.last = event.last.next(),
        17 => event.commit_id = CommitId::from_bytes([99; 16]),
        18 => event.digest = Digest::from_bytes([1; 16]),
        19 => (event.data, event.data_digest) = (Some("other".into()), DataDigest::of(b"other")),
        _ => (event.correlation_id, event.causation_id) = (text("a"), text("b")),
    }
}

const DAMAGES: usize = 21;

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..5, 1..8)
}

proptest! {
    #[test]
    fn a_log_follows_from_its_start(sizes in sizes()) {
        let entries = log(&sizes);
        prop_assert_eq!(verify(&entries), Ok(entries[entries.len() - 1].point()));
    }

    #[test]
    fn any_change_of_an_event_is_found(sizes in sizes(), kind in 0..DAMAGES, at in any::<prop::sample::Index>()) {
        let mut entries = log(&sizes);
        let mut events: Vec<_> = entries.iter_mut().flat_map(|entry| &mut entry.events).collect();
        let index = at.index(events.len());
        damage(events[index], kind);
        prop_assert!(verify(&entries).is_err(), "damage {} of event {}", kind, index);
    }

    /// Also when the event's own digest was made to fit: then the chain tells.
    #[test]
    fn any_change_with_a_fitting_digest_is_found(
        sizes in sizes(),
        kind in 0..DAMAGES,
        at in any::<prop::sample::Index>(),
    ) {
        let mut entries = log(&sizes);
        let mut events: Vec<_> = entries.iter_mut().flat_map(|entry| &mut entry.events).collect();
        let index = at.index(events.len());
        let before = events[index].clone();
        damage(events[index], kind);
        events[index].digest = events[index].compute_digest();
        prop_assume!(*events[index] != before);
        prop_assert!(verify(&entries).is_err(), "damage {} of event {}", kind, index);
    }

    #[test]
    fn entries_left_out_moved_or_split_are_found(sizes in sizes(), at in any::<prop::sample::Index>()) {
        let entries = log(&sizes);
        let index = at.index(entries.len());
        let mut left_out = entries.clone();
        left_out.remove(index);
        prop_assert!(index == entries.len() - 1 || verify(&left_out).is_err());
        let mut twice = entries.clone();
        twice.insert(index, entries[index].clone());
        prop_assert!(verify(&twice).is_err());
        let mut split = entries.clone();
        let rest = split[index].events.split_off(1);
        let second = Entry { events: rest, ..split[index].clone() };
        split.insert(index + 1, second);
        prop_assert!(verify(&split).is_err());
        // also with chains that fit: an event says where its commit begins and ends
        let mut tail = Point::start(LOG);
        for entry in &mut split {
            entry.chain = Entry::compute_chain(tail.chain, entry.term, entry.fingerprint, entry.events.iter());
            tail = entry.point();
        }
        prop_assert!(verify(&split).is_err());
        let mut other_term = entries.clone();
        other_term[index].term = other_term[index].term.next();
        prop_assert!(verify(&other_term).is_err());
        let mut other_caller = entries.clone();
        other_caller[index].fingerprint = Fingerprint::from_bytes([77; 16]);
        prop_assert!(verify(&other_caller).is_err());
    }
}

#[test]
fn data_that_a_source_does_not_keep_leaves_the_digest_as_it_is() {
    let mut entries = log(&[2, 1]);
    entries[0].events[1].data = None;
    assert!(verify(&entries).is_ok());
}

#[test]
fn terms_do_not_fall() {
    let entries = log(&[1]);
    let tail = Point { term: Term::new(4), ..Point::start(LOG) };
    assert_eq!(entries[0].follows(&tail), Err(EntryError::TermFalls(Position::FIRST)));
}
