use polylog_log::{
    Commit, Config, DatabaseId, EventId, EventType, Expected, Facts, Head, Identity, Incarnation, LogId,
    Member, NewEvent, Operation, SourceName, StreamAppend, StreamName, Term, Timestamp, Watermarks,
};
use uuid::Uuid;

use super::*;

/// A source that holds nothing.
pub(in crate::quorum) fn empty() -> Head {
    let log = LogId::from_bytes([1; 16]);
    let (database, incarnation) = (DatabaseId::from_bytes([2; 16]), Incarnation::from_bytes([3; 16]));
    let voter = Member { name: SourceName::recorded("ledger"), database, incarnation };
    Head::empty(Identity { log, database, incarnation }, Config::implicit(voter))
}

/// Entries of a log, each of so many events of so many bytes; its first one stands under this term.
pub(in crate::quorum) fn entries(term: u64, of: &[(usize, usize)]) -> Vec<Entry> {
    let head = Head { term: Term::new(term), lead: Term::new(term), ..empty() };
    let log = head.identity.log;
    let commit = |(number, (events, bytes)): (usize, &(usize, usize))| {
        let event = |index: usize| {
            let id = EventId::new(Uuid::from_u128((number as u128) << 64 | index as u128));
            NewEvent::json(id, EventType::recorded("Happened"), vec![b'1'; *bytes])
        };
        let stream = StreamName::recorded("account-1");
        let append = StreamAppend::new(stream, Expected::Any, (0..*events).map(event).collect());
        Commit::new(log, vec![append])
    };
    let batch: Vec<Commit> = of.iter().enumerate().map(commit).collect();
    let (term, config) = (head.term, head.config.config.version);
    let (facts, watermarks, clock) = (&Facts::default(), Watermarks::default(), Timestamp::EPOCH);
    let append = Operation::Append { term, config, batch: &batch, facts, watermarks, clock };
    head.admit(&head.identity, append, polylog_log::Rules::ALL).expect("it leads").write
}

fn written(entries: &[Entry]) -> Written {
    let mut written = Written::new(Rules::default());
    written.take(entries.to_vec());
    written
}

const END: Position = Position::new(u64::MAX);

#[test]
fn it_gives_what_continues_a_log_and_nothing_else() {
    let (ours, others) = (entries(1, &[(1, 9); 4]), entries(2, &[(1, 9); 4]));
    let written = written(&ours[1..]);
    assert_eq!(written.after(&ours[0].point(), END).as_deref(), Some(&ours[1..]));
    assert_eq!(written.after(&ours[2].point(), END).as_deref(), Some(&ours[3..]));
    assert_eq!(written.after(&ours[3].point(), END), None, "there is nothing after it");
    assert_eq!(written.after(&Point::start(LogId::from_bytes([1; 16])), END), None, "it was not kept");
    assert_eq!(written.after(&others[1].point(), END), None, "the log of another primary is as long");
}

#[test]
fn it_gives_whole_entries_up_to_the_cap() {
    let entries = entries(1, &[(1, 9), (2, 9), (3, 9)]);
    let (written, first) = (written(&entries[1..]), entries[0].point());
    let up_to = |cap| written.after(&first, Position::new(cap)).map(|entries| entries.len());
    assert_eq!([up_to(1), up_to(2), up_to(3), up_to(5), up_to(6)], [None, None, Some(1), Some(1), Some(2)]);
}

#[test]
fn what_others_wrote_between_leaves_nothing_before_it() {
    let entries = entries(1, &[(1, 9); 4]);
    let mut written = written(&entries[..1]);
    written.take(entries[2..3].to_vec());
    assert_eq!(written.after(&Point::start(LogId::from_bytes([1; 16])), END), None);
    assert_eq!(written.after(&entries[1].point(), END).as_deref(), Some(&entries[2..3]));
    written.take(entries[3..].to_vec());
    assert_eq!(written.after(&entries[1].point(), END).as_deref(), Some(&entries[2..]));
}

#[test]
fn what_all_hold_is_forgotten() {
    let entries = entries(1, &[(1, 9); 3]);
    let mut written = written(&entries);
    written.forget_until(entries[1].last());
    assert_eq!(written.after(&entries[0].point(), END), None);
    assert_eq!(written.after(&entries[1].point(), END).as_deref(), Some(&entries[2..]));
}

#[test]
fn it_stays_small_however_long_a_source_is_away() {
    let kept = |of: &[(usize, usize)]| {
        let entries = entries(1, of);
        let written = written(&entries);
        assert_eq!(written.events, written.entries.iter().map(|entry| entry.events.len()).sum::<usize>());
        assert_eq!(written.bytes, written.entries.iter().map(Entry::size).sum::<usize>());
        written.entries.len()
    };
    assert_eq!(kept(&[(1, 9); 600]), MOST_EVENTS);
    assert_eq!(kept(&[(1, 300_000); 5]), 3);
    assert_eq!(kept(&[(501, 9)]), 0, "what is too large for it is read");
}
