use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::task::JoinSet;

use crate::{
    Append, Apply, Entry, Fault, Head, LogPage, OperationError, Position, ReadCategory, ReadLog, ReadStream, RecordedEvent, Source, Truncate, Version,
    conformance::{
        Kit, Violation,
        act::{Act, mixed},
        events::stream,
        subject::{Checked, Subject, apply, under},
        violation::{ensure, ensure_eq},
    },
};

/// Histories that one source goes through, one after the other: before its first truncation, after it, and so on.
const HISTORIES: usize = 10;

/// What readers saw, to be compared when every history is known.
#[derive(Default)]
struct Seen {
    pages: Vec<(bool, LogPage)>,
    events: Vec<(Vec<RecordedEvent>, Head)>,
    heads: Vec<(Version, Head)>,
}

/// A source is cut back and filled with another history again and again, while readers take pages of all sizes: every page
/// belongs to the history of the head that came with it.
pub(super) async fn a_page_belongs_to_its_head(kit: Kit) -> Checked {
    let subject = Subject::fresh(&kit).await?;
    let histories = histories(&kit, &subject).await?;
    let is_done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..5 {
        let (source, kit, is_done) = (subject.database.open().await?, kit.clone(), is_done.clone());
        readers.spawn(async move {
            let mut seen = Seen::default();
            while !is_done.load(Ordering::Acquire) {
                look(&*source, &kit, &mut seen).await?;
                tokio::task::yield_now().await;
            }
            Ok::<_, Violation>(seen)
        });
    }
    let written = live(&subject, &histories).await;
    is_done.store(true, Ordering::Release);
    written?;
    while let Some(reader) = readers.join_next().await {
        compare(&reader??, &histories)?;
    }
    ensure!(subject.audit().await? == histories[HISTORIES - 1], "the last history");
    Ok(())
}

/// The same, while others send requests of terms that are over: none of them changes anything.
pub(super) async fn late_requests_change_nothing(kit: Kit) -> Checked {
    for _ in 0..3 {
        let subject = Subject::fresh(&kit).await?;
        let histories = Arc::new(histories(&kit, &subject).await?);
        let is_done = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for _ in 0..5 {
            let (source, of, kit) = (subject.database.open().await?, subject.identity, kit.clone());
            let (is_done, histories) = (is_done.clone(), histories.clone());
            let fail_points = subject.database.fail_points();
            senders.spawn(async move {
                while !is_done.load(Ordering::Acquire) {
                    if !fail_points.points().is_empty() && kit.once_in(2) {
                        fail_points.arm(kit.pick(fail_points.points()), kit.below(4) as u32, Fault::Delay);
                    }
                    let head = source.head().await?;
                    let request = late(&kit, &head, &histories);
                    let answer = request.send(&*source, &of).await;
                    let is_refused = matches!(answer, Err(OperationError::Refused { .. }));
                    ensure!(is_refused, "{request:?} was sent too late and got {answer:?}");
                    tokio::task::yield_now().await;
                }
                Ok::<_, Violation>(())
            });
        }
        let written = live(&subject, &histories).await;
        is_done.store(true, Ordering::Release);
        written?;
        while let Some(sender) = senders.join_next().await {
            sender??;
        }
        ensure!(subject.audit().await? == histories[HISTORIES - 1], "the last history");
    }
    Ok(())
}

/// A request that would have been right under a term before that of a head.
fn late(kit: &Kit, head: &Head, histories: &[Vec<Entry>]) -> Act {
    let term = head.term.previous();
    let history = &histories[kit.below(histories.len())];
    let at = kit.below(history.len());
    match kit.below(4) {
        0 => Act::Promise(head.term, kit.nonce()),
        1 => Act::Truncate(Truncate { term, keep: history[at].point(), tail: head.tail }),
        2 => Act::Apply(Apply { term, ..apply(0, head.tail, history[at..].to_vec()) }),
        // never opened: an append has no term here
        _ => Act::Append(Append { term: head.term, ..under(head, Vec::new()) }),
    }
}

/// Logs of other sources that share their first entries with each other and differ from there on.
async fn histories(kit: &Kit, subject: &Subject) -> Checked<Vec<Vec<Entry>>> {
    let mut histories = Vec::new();
    let mut shared = Vec::new();
    for number in 0..HISTORIES as u64 {
        let other = Subject::of(kit, subject.log(), "x").await?;
        other.apply(apply(number, other.head().await?.tail, shared)).await?;
        other.lead(number + 1).await?;
        for _ in 0..4 {
            other.append((0..2).map(|_| mixed(kit, &other)).collect()).await?;
        }
        let entries = other.entries().await?;
        shared = entries[..entries.len() - 6].to_vec();
        histories.push(entries);
    }
    Ok(histories)
}

/// Goes through all histories, in small steps.
async fn live(subject: &Subject, histories: &[Vec<Entry>]) -> Checked {
    for (number, history) in histories.iter().enumerate() {
        let term = number as u64 + 1;
        let own = subject.entries().await?;
        let shared = own.iter().zip(history).take_while(|(own, next)| own == next).count();
        let tail = subject.promise(term, subject.kit.nonce()).await?.tail;
        if shared < own.len() {
            subject.truncate(term, own[shared - 1].point(), tail).await?;
        }
        for entries in history[shared..].chunks(1 + subject.kit.below(7)) {
            let tail = subject.head().await?.tail;
            subject.apply(apply(term, tail, entries.to_vec())).await?;
        }
        ensure!(subject.entries().await? == *history, "the log after it was filled with history {term}");
    }
    Ok(())
}

async fn look(source: &dyn Source, kit: &Kit, seen: &mut Seen) -> Checked {
    let from = Position::new(1 + kit.below(30) as u64);
    let is_whole = kit.once_in(2);
    let max_events = if is_whole { usize::MAX } else { 1 + kit.below(6) };
    let read = ReadLog { from, to: Position::new(u64::MAX), max_events, max_bytes: usize::MAX };
    seen.pages.push((is_whole, source.read_log(read).await?));
    let (name, backward) = (stream("one-1"), kit.once_in(2));
    let category = name.default_category();
    let from = Version::new(1 + kit.below(12) as u64);
    let read = ReadStream { stream: name, from, backward, max_events: 4, max_bytes: usize::MAX };
    let page = source.read_stream(read).await?;
    let version = page.stream.map_or(Version::ZERO, |stream| stream.version);
    seen.heads.push((version, page.head.clone()));
    seen.events.push((page.events, page.head));
    let range = Position::FIRST..=Position::new(u64::MAX);
    let read = ReadCategory { category, range, backward, max_events: 5, max_bytes: usize::MAX };
    let page = source.read_category(read).await?;
    let id = page.events.first().map(|recorded| recorded.event.id);
    seen.events.push((page.events, page.head));
    if let Some(id) = id {
        let found = source.find(id).await?;
        seen.events.push((Vec::from_iter(found.event), found.head));
    }
    Ok(())
}

/// The part of a history that a head stands for.
fn held<'a>(head: &Head, histories: &'a [Vec<Entry>]) -> Checked<&'a [Entry]> {
    let cuts = head.cuts() as usize;
    let history = &histories[cuts];
    let count = history.iter().take_while(|entry| entry.last() <= head.tail.position).count();
    if count == 0 {
        return Ok(&[]);
    }
    // between a truncation and the first entry that follows, the tail is still that of the history before
    let ends = histories[..=cuts].iter().any(|history| history.iter().any(|entry| entry.point() == head.tail));
    ensure!(ends, "a head whose tail {:?} was never written", head.tail);
    Ok(&history[..count])
}

fn compare(seen: &Seen, histories: &[Vec<Entry>]) -> Checked {
    for (is_whole, page) in &seen.pages {
        let held = held(&page.head, histories)?;
        let what = format!("a page with a head at {} after {} cuts", page.head.tail.position, page.head.cuts());
        for entry in &page.entries {
            ensure!(held.contains(entry), "{what} holds an entry at {} of another history", entry.last());
        }
        let end = page.entries.last().map(Entry::point);
        ensure!(!is_whole || end.is_none_or(|end| end == page.head.tail), "{what} ends at {end:?}");
    }
    for (events, head) in &seen.events {
        let held = held(head, histories)?;
        for recorded in events {
            let entry = held.iter().find(|entry| entry.events.contains(&recorded.event));
            let points = entry.map(|entry| (entry.term, entry.chain));
            let at = recorded.event.position;
            let what = format!("the event at {at} with a head at {}", head.tail.position);
            ensure_eq!(points, Some((recorded.term, recorded.chain)), "{what}: its entry in that history");
        }
    }
    for (version, head) in &seen.heads {
        let events = held(head, histories)?.iter().flat_map(|entry| &entry.events);
        let count = events.filter(|event| event.stream.as_str() == "one-1").count();
        ensure_eq!(version.get(), count as u64, "a stream's version with a head at {}", head.tail.position);
    }
    Ok(())
}
