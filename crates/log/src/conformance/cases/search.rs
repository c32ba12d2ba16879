use std::{collections::HashMap, num::NonZeroU32};

use crate::{
    Category, Commit, Event, EventType, Expected, Narrow, NewEvent, Position, Select, StreamAppend, StreamName, Tally,
    TallyRow, Timestamp,
    conformance::{
        Kit,
        subject::{Checked, Subject},
        violation::{ensure, ensure_eq},
    },
};

const TYPES: [&str; 12] = ["Paid", "paid", "Paid.", "a,b", "x\"y", "a'b", "a\\b", "é", "e\u{301}", "%", "P", "Q"];
const SLICE: u32 = 900;

/// Searches and counts by an engine's own means give what its log says, whatever they are narrowed down to.
pub(super) async fn what_is_selected_and_counted_is_what_the_log_says(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    for number in 0..24_usize {
        let category = ["Pay", "pay", "Order"][number % 3];
        let events = (0..1 + number % 4).map(|index| told(&kit, number * 4 + index)).collect();
        let stream = StreamName::recorded(&format!("{category}-{number}"));
        let append = StreamAppend::new(stream, Expected::NoStream, events);
        subject.commit(Commit::new(subject.log(), vec![append])).await?;
    }
    let log: Vec<Event> = subject.audit().await?.into_iter().flat_map(|entry| entry.events).collect();
    let last = log.last().map_or(Position::ZERO, |event| event.position);
    for round in 0..40 {
        let narrow = narrow(&kit, &log);
        let from = Position::new(1 + kit.below(log.len()) as u64);
        let to = if kit.once_in(2) { last } else { Position::new(from.get() + kit.below(30) as u64).min(last) };
        let is_wanted = |event: &&Event| event.position >= from && event.position <= to && narrow.holds(event);
        let expected: Vec<&Event> = log.iter().filter(is_wanted).collect();
        // also more streams than a statement may have places for
        let streams = (0..kit.below(3) * 5).map(|_| log[kit.below(log.len())].stream.clone()).collect();
        let select = Select { range: from..=to, narrow: narrow.clone(), streams, max_events: 0, max_bytes: 0 };
        let found = selected(&subject, &kit, &select).await?;
        let wanted = expected.iter().copied().filter(|event| select.holds(event));
        ensure!(found.iter().eq(wanted), "round {round}: {select:?}");
        let slice = (round % 2 == 0).then(|| NonZeroU32::new(SLICE)).flatten();
        let names = if round % 3 == 0 { Vec::new() } else { vec!["user".to_owned(), "n".to_owned()] };
        let tally = Tally { range: from..=to, narrow, slice, names };
        let tallied = subject.source.tally(tally.clone()).await?;
        ensure_eq!(by_kind(tallied.rows), by_kind(counted(&tally, &expected)), "counts");
    }
    Ok(())
}

fn told(kit: &Kit, number: usize) -> NewEvent {
    let hours = number as i64 - 40;
    let metadata = match number % 5 {
        0 => None,
        1 => Some(format!("{{\"user\":\"u{}\",\"x\":\"{}\"}}", number % 3, "long ".repeat(400))),
        2 => Some(format!("{{ \"n\": 1.50, \"user\" : \"u\\u0031\", \"at\":{number}}}")),
        _ => Some(format!("{{\"n\":{},\"user\":null}}", number % 2)),
    };
    NewEvent {
        event_type: EventType::recorded(TYPES[number % TYPES.len()]),
        time: (!number.is_multiple_of(7)).then(|| Timestamp::from_micros(hours * 1_100_000_000 + number as i64)),
        metadata: metadata.map(Into::into),
        ..kit.event()
    }
}

fn narrow(kit: &Kit, log: &[Event]) -> Narrow {
    let types = (0..kit.below(3) * 5).map(|_| EventType::recorded(TYPES[kit.below(TYPES.len())])).collect();
    let categories = (0..kit.below(3)).map(|_| Category::recorded(["Pay", "pay", "None"][kit.below(3)])).collect();
    let time = || kit.once_in(2).then(|| log[kit.below(log.len())].time);
    Narrow { types, categories, since: time(), until: time() }
}

/// Page by page.
async fn selected(subject: &Subject, kit: &Kit, select: &Select) -> Checked<Vec<Event>> {
    let (mut next, to) = (*select.range.start(), *select.range.end());
    let mut found = Vec::new();
    while next <= to {
        let (max_events, max_bytes) = (1 + kit.below(9), 1 + kit.below(10_000));
        let select = Select { range: next..=to, max_events, max_bytes, ..select.clone() };
        let page = subject.source.select(select).await?;
        ensure!(page.looked_to >= next && page.looked_to <= to, "looked to {} of {to}", page.looked_to);
        ensure!(page.events.len() <= max_events, "more events than asked for");
        found.extend(page.events.into_iter().map(|event| event.event));
        next = page.looked_to.next();
    }
    Ok(found)
}

fn counted(tally: &Tally, events: &[&Event]) -> Vec<TallyRow> {
    let mut tallies = crate::Tallies::new(tally);
    events.iter().for_each(|event| tallies.count(event));
    tallies.rows()
}

fn by_kind(rows: Vec<TallyRow>) -> HashMap<TallyRow, u64> {
    rows.into_iter().map(|row| (TallyRow { count: 0, ..row.clone() }, row.count)).collect()
}
