//! What was given comes back byte for byte, from every way in and out.

use bytes::Bytes;
use polylog_log::{
    Apply, Category, DatabaseId, Entry, Event, Expected, Identity, NewEvent, Point, Position,
    QuarantinePlace, ReadCategory, ReadStream, StreamAppend, Term, Timestamp, Truncate, Version, Watermarks,
};
use uuid::Uuid;

use crate::{
    acts::{check_log, entries, event, identity, lead, stream, write},
    place::Place,
};

/// Payloads that careless storing changes.
fn nasty(texts_hold_nul: bool) -> Vec<NewEvent> {
    let json: [&[u8]; 12] = [
        b"{}",
        br#"{"b":1,"a":2,"b":3}"#,
        b"1e400",
        b"9007199254740993",
        b"-0",
        b" \n[1 ,2 ]\t",
        br#""\u0000""#,
        br#""\ud800""#,
        "\"\u{0}\"".as_bytes(),
        "\"e\u{301} \u{1f980} \u{ffff}\"".as_bytes(),
        b"",
        b"'; DROP TABLE polylog_events; --",
    ];
    let mut events: Vec<NewEvent> = json.into_iter().map(event).collect();
    events.push(event("[".repeat(10_000) + &"]".repeat(10_000)));
    for bytes in [&b"\0"[..], b"\xff\xfe\0\x80", b"a\0b", &[0; 5_000], &[0xc3; 4_096]] {
        events.push(NewEvent { content_type: "application/octet-stream".into(), ..event(bytes.to_vec()) });
    }
    // nothing that a caller can send, and nothing that every database can store
    let correlation_id = if texts_hold_nul { "with a \0 and \u{1f980}" } else { "with \u{1f980}" };
    events.push(NewEvent {
        metadata: Some(Bytes::from_static(br#"{"z":"\u0000","a":1e400}"#)),
        correlation_id: Some(correlation_id.into()),
        causation_id: Some(String::new()),
        content_type: "text/plain; charset=\"\u{e9}\"".into(),
        time: Some(Timestamp::from_micros(-62_135_596_800_000_001)),
        ..event(vec![0xab; 10 << 20])
    });
    events
}

fn same(event: &Event, given: &NewEvent) {
    assert_eq!(event.data.as_ref(), Some(&given.data));
    assert_eq!(event.metadata, given.metadata);
    assert_eq!(event.content_type, given.content_type);
    assert_eq!((&event.correlation_id, &event.causation_id), (&given.correlation_id, &given.causation_id));
    assert_eq!((event.id, event.data_digest), (given.id, given.data_digest));
    assert_eq!(event.time, given.time.unwrap_or(event.recorded_at));
    assert_eq!(event.digest, event.compute_digest());
}

/// Every way to read gives the bytes that were given. `texts_hold_nul`: ids of correlation may have a NUL character.
///
/// # Panics
/// If one does not.
pub async fn every_way_to_read_gives_the_bytes_that_were_given(place: &dyn Place, texts_hold_nul: bool) {
    let (source, of) = (place.open().await, place.identity());
    lead(&*source, &of, 1).await;
    let given = nasty(texts_hold_nul);
    for event in &given {
        let append = StreamAppend::new(stream("nasty-1"), Expected::Any, vec![event.clone()]);
        write(&*source, &of, polylog_log::Commit::new(of.log, vec![append])).await;
    }

    // another handle, which remembers nothing
    let source = place.open().await;
    let log = check_log(&*source).await;
    let events: Vec<&Event> = log[1..].iter().flat_map(|entry| &entry.events).collect();
    assert_eq!(events.len(), given.len());
    events.iter().zip(&given).for_each(|(event, given)| same(event, given));

    let page = ReadStream {
        stream: stream("nasty-1"),
        from: Version::FIRST,
        backward: false,
        max_events: usize::MAX,
        max_bytes: usize::MAX,
    };
    let by_stream = source.read_stream(page).await.expect("the stream").events;
    by_stream.iter().zip(&given).for_each(|(found, given)| same(&found.event, given));
    let page = ReadCategory {
        category: Category::parse("nasty").expect("a good name"),
        range: Position::FIRST..=Position::new(u64::MAX),
        backward: true,
        max_events: usize::MAX,
        max_bytes: usize::MAX,
    };
    let by_category = source.read_category(page).await.expect("the category").events;
    assert_eq!(by_category.len(), given.len());
    by_category.iter().rev().zip(&given).for_each(|(found, given)| same(&found.event, given));
    for given in &given {
        let found = source.find(given.id).await.expect("an answer").event.expect("the event");
        same(&found.event, given);
    }
}

/// The identity that the replica of [`a_replica_and_its_quarantine_hold_the_bytes_that_were_given`] must have.
pub fn replica() -> Identity {
    Identity { database: DatabaseId::new(Uuid::from_u128(8)), ..identity(1) }
}

/// A copy, and what a truncation removes from it, hold the bytes that were given.
///
/// # Panics
/// If they do not.
pub async fn a_replica_and_its_quarantine_hold_the_bytes_that_were_given(
    place: &dyn Place,
    replica: &dyn Place,
    texts_hold_nul: bool,
) {
    let source = place.open().await;
    lead(&*source, &place.identity(), 1).await;
    let append = StreamAppend::new(stream("nasty-1"), Expected::Any, nasty(texts_hold_nul));
    let log = place.identity().log;
    write(&*source, &place.identity(), polylog_log::Commit::new(log, vec![append])).await;
    let mut copied = entries(&*source).await;
    // data that this source does not keep
    copied[1].events[0].data = None;

    let (of, target) = (replica.identity(), replica.open().await);
    let apply = Apply {
        term: Term::FIRST,
        previous: Point::start(of.log),
        entries: copied.clone().into(),
        watermarks: Watermarks::default(),
    };
    let head = target.apply(&of, apply).await.expect("a copy");
    assert_eq!(entries(&*target).await, copied);

    let keep = copied[0].point();
    let truncate = Truncate { term: Term::new(2), keep, tail: head.tail };
    let head = target.truncate(&of, truncate).await.expect("a truncation");
    assert_eq!(head.tail, keep);
    assert_eq!(entries(&*target).await, copied[..1]);
    let removed = target.quarantine(QuarantinePlace::START, 10).await.expect("the quarantine");
    assert_eq!(removed.iter().map(|removed| &removed.entry).collect::<Vec<&Entry>>(), [&copied[1]]);
    assert_eq!(Some(removed[0].cut), head.last_cut);
    assert!(target.quarantine(QuarantinePlace::end_of(1), 10).await.expect("the quarantine").is_empty());
}
