use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
};

use crate::{
    Category, Commit, Count, Event, EventType, Expected, Find, Narrow, NewEvent, Order, Position, Sought, StreamAppend,
    StreamName, Tallies, Tally, TallyRow, Timestamp, Words,
    conformance::{
        Kit,
        events::with_data,
        subject::{Checked, Subject},
        violation::{Violation, ensure, ensure_eq},
    },
    metadata_values,
};

const TYPES: [&str; 6] = ["Paid", "paid", "a,b", "x\"y", "e\u{301}", "P*"];
const WORDS: [&str; 8] = ["eur", "100.00", "it's", "Straße", "ЖЖ", "a_b", "日", "7"];
const NAMES: [&str; 5] = ["user", "n", "a.b", "\"[", "absent"];
const SLICE: u32 = 900;

/// What an engine finds and counts by an index of its own is what a look at each event finds and counts, as the log grows.
pub(super) async fn an_index_finds_and_counts_what_the_log_says(kit: Kit) -> Checked {
    let subject = Subject::primary(&kit).await?;
    if !subject.source.has_index() {
        kit.not_applicable("the engine has no index of its own");
        return Ok(());
    }
    for part in 0..2_usize {
        for number in part * 15..part * 15 + 15 {
            let category = ["Pay", "pay", "Order"][number % 3];
            let events = (0..1 + number % 4).map(|index| told(&kit, number * 4 + index)).collect();
            let stream = StreamName::recorded(&format!("{category}-{number}"));
            let append = StreamAppend::new(stream, Expected::NoStream, events);
            subject.commit(Commit::new(subject.log(), vec![append])).await?;
        }
        let log: Vec<Event> = subject.audit().await?.into_iter().flat_map(|entry| entry.events).collect();
        let mixed = (0..8).map(|_| sought(&kit, &log));
        for (round, sought) in alone(&kit, &log).into_iter().chain(mixed).enumerate() {
            let expected: Vec<&Event> = log.iter().filter(|event| sought.holds(event)).collect();
            let found = found(&subject, &kit, &sought, &expected).await;
            found.map_err(|violation| Violation::new(format!("{violation}, round {round}: {sought:?}")))?;
            let counted = counted(&subject, &kit, &sought, &expected).await;
            counted.map_err(|violation| Violation::new(format!("{violation}, round {round}: {sought:?}")))?;
        }
    }
    Ok(())
}

fn told(kit: &Kit, number: usize) -> NewEvent {
    let word = |step: usize| WORDS[number / step % WORDS.len()];
    let data = format!(r#"{{"id":"{}, {}","of":["{}",{number}]}}"#, word(1), word(3), word(5));
    let metadata = match number % 6 {
        0 => None,
        1 => Some(format!(r#"{{"user":"u{}","x":"{}"}}"#, number % 3, "long ".repeat(400))),
        2 => Some(format!(r#"{{ "n": 1.50, "user" : "u\u0031", "a.b":"{number}", "at":{{"n":7}}}}"#)),
        3 => Some(format!(r#"{{"\"[":"]","n":true,"user":"{}"}}"#, "é".repeat(number))),
        // more than an index may know of one event
        4 if number.is_multiple_of(5) => {
            let many: Vec<String> = (0..300).map(|index| format!(r#""m{index}":{index}"#)).collect();
            Some(format!(r#"{{"user":"u1",{}}}"#, many.join(",")))
        }
        _ => Some(format!(r#"{{"n":{},"n":{},"user":null}}"#, number % 2, number % 3)),
    };
    let event = with_data(kit.event(), data);
    NewEvent {
        event_type: EventType::recorded(TYPES[number % TYPES.len()]),
        // before and after 1970, some at the same time
        time: (!number.is_multiple_of(7)).then(|| Timestamp::from_micros((number as i64 / 2 - 20) * 550_000_001)),
        metadata: metadata.map(Into::into),
        correlation_id: number.is_multiple_of(4).then(|| format!("c {}", number % 3)),
        ..event
    }
}

/// One condition at a time.
fn alone(kit: &Kit, log: &[Event]) -> Vec<Sought> {
    let all = Sought { to: log[log.len() - 1].position, ..Sought::default() };
    // none of the log's own, with everything that an event may have
    let whole: Vec<&Event> =
        log.iter().filter(|event| !event.is_system() && event.correlation_id.is_some()).collect();
    let event = whole[kit.below(whole.len())];
    let narrow = |narrow: Narrow| Sought { narrow, ..all.clone() };
    let kind = (event.category.clone(), event.event_type.clone());
    let said = |name: &str, value: &str| Sought { metadata: vec![(name.into(), value.into())], ..all.clone() };
    let long = "long ".repeat(400);
    vec![
        all.clone(),
        Sought { to: event.position, ..all.clone() },
        narrow(Narrow { types: vec![event.event_type.clone()], ..Narrow::default() }),
        narrow(Narrow { categories: vec![event.category.clone()], ..Narrow::default() }),
        narrow(Narrow { since: Some(event.time), ..Narrow::default() }),
        narrow(Narrow { until: Some(event.time), ..Narrow::default() }),
        Sought { kinds: Some(vec![kind]), ..all.clone() },
        Sought { kinds: Some(Vec::new()), ..all.clone() },
        Sought { streams: vec![event.stream.clone()], ..all.clone() },
        Sought { correlation_id: event.correlation_id.clone(), ..all.clone() },
        Sought { words: Words::parse("straße EUR").ok(), ..all.clone() },
        said("user", "u1"),
        said("n", "1.50"),
        said("n", "1.5"),
        said("x", &long),
    ]
}

fn sought(kit: &Kit, log: &[Event]) -> Sought {
    let any = |some: &[Event]| some[kit.below(some.len())].clone();
    // few conditions at once, or nothing would be found
    let some = |most: usize| if kit.once_in(3) { 1 + kit.below(most) } else { 0 };
    let types = (0..some(2)).map(|_| EventType::recorded(TYPES[kit.below(TYPES.len())])).collect();
    let categories = (0..some(2)).map(|_| Category::recorded(["Pay", "pay", "None"][kit.below(3)])).collect();
    let time = || kit.once_in(3).then(|| any(log).time);
    let kinds = (0..kit.below(12)).map(|_| any(log)).map(|event| (event.category, event.event_type)).collect();
    let words = (0..1 + kit.below(2)).map(|_| WORDS[kit.below(WORDS.len())]).collect::<Vec<_>>().join(" ");
    let told = any(log);
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let values = metadata_values(told.metadata.as_deref(), &names);
    let said = names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)));
    Sought {
        to: any(log).position,
        narrow: Narrow { types, categories, since: time(), until: time() },
        kinds: kit.once_in(4).then_some(kinds),
        streams: (0..some(5)).map(|_| any(log).stream).collect(),
        correlation_id: told.correlation_id.filter(|_| kit.once_in(4)),
        words: kit.once_in(3).then(|| Words::parse(&words).expect("words")),
        metadata: said.filter(|_| kit.once_in(6)).collect(),
    }
}

/// Page by page, in every order.
async fn found(subject: &Subject, kit: &Kit, sought: &Sought, expected: &[&Event]) -> Checked {
    let orders = [[Order::Newest, Order::Position], [Order::Oldest, Order::PositionBackward]];
    for order in kit.pick(&orders) {
        let mut expected = expected.to_vec();
        expected.sort_by_key(|event| order.place(event.time, event.position));
        let mut given: Vec<Event> = Vec::new();
        loop {
            let find = Find {
                sought: sought.clone(),
                order,
                after: given.last().map(|last| (last.time, last.position)),
                max_events: 1 + kit.below(20),
                max_bytes: 1 + kit.below(20_000),
                counts: kit.once_in(2),
            };
            let (most, counts) = (find.max_events, find.counts);
            let found = subject.source.find_by_index(find).await?;
            let found = found.ok_or_else(|| Violation::new("an index that cannot answer"))?;
            ensure!(found.events.len() <= most, "more events than asked for");
            ensure!(found.total.is_none_or(|total| total == expected.len() as u64), "total {:?}", found.total);
            ensure!(found.total.is_some() == counts, "a total, as asked for");
            ensure!(!found.has_more || !found.events.is_empty(), "a page without events");
            given.extend(found.events.into_iter().map(|event| event.event));
            if !found.has_more {
                break;
            }
        }
        let positions = |events: &mut dyn Iterator<Item = &Event>| -> Vec<Position> {
            events.map(|event| event.position).collect()
        };
        let (is, should) = (positions(&mut given.iter()), positions(&mut expected.iter().copied()));
        ensure!(given.iter().eq(expected), "{order:?}: {is:?}, not {should:?}");
    }
    Ok(())
}

async fn counted(subject: &Subject, kit: &Kit, sought: &Sought, expected: &[&Event]) -> Checked {
    let slice = kit.once_in(2).then(|| NonZeroU32::new(SLICE)).flatten();
    let names: Vec<String> =
        NAMES.iter().filter(|_| kit.once_in(2)).map(|name| (*name).to_owned()).collect();
    let count = Count { sought: sought.clone(), slice, names: names.clone() };
    let counted = subject.source.count_by_index(count).await?;
    let counted = counted.ok_or_else(|| Violation::new("an index that cannot count"))?;
    let (range, narrow) = (Position::FIRST..=sought.to, Narrow::default());
    let tally = Tally { range, narrow, slice, names: Vec::new() };
    let mut tallies = Tallies::new(&tally);
    expected.iter().for_each(|event| tallies.count(event));
    ensure_eq!(by_kind(counted.rows), by_kind(tallies.rows()), "counts");
    ensure_eq!(counted.values.len(), names.len(), "names");
    for (index, values) in counted.values.into_iter().enumerate() {
        let mut should: BTreeMap<String, u64> = BTreeMap::new();
        for event in expected {
            let value = metadata_values(event.metadata.as_deref(), &names[index..=index]).swap_remove(0);
            value.into_iter().for_each(|value| *should.entry(value).or_default() += 1);
        }
        ensure_eq!(values.into_iter().collect::<BTreeMap<_, _>>(), should, "values of {}", names[index]);
    }
    Ok(())
}

fn by_kind(rows: Vec<TallyRow>) -> HashMap<TallyRow, u64> {
    let mut counts = HashMap::new();
    for row in rows {
        *counts.entry(TallyRow { count: 0, ..row.clone() }).or_default() += row.count;
    }
    counts
}
