use std::fmt::Write as _;

use polylog_api::{DataState, ReceivedEvent, is_json, metadata};
use polylog_client::{Client, Consistency, ReadOptions};
use polylog_log::{AggregateId, Category, NewEvent};
use rusqlite::OptionalExtension;
use serde::Serialize;

use super::{
    document::{base64_of, on_one_line},
    event::with_version,
    work::{Work, damaged},
};
use crate::{
    exit::Failure,
    import::line::{Item, Parsed, parse},
    progress,
};

/// Most events of which it is told what is wrong.
const MOST: usize = 20;

/// What became of the events, by the store's own answers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checked {
    /// Events that are in the store as they were found.
    pub(crate) same: u64,
    /// Events that are there otherwise.
    pub(crate) differing: u64,
    /// Events that are not there.
    pub(crate) missing: u64,
    /// What is wrong, of the first ones.
    pub(crate) faults: Vec<String>,
}

impl Checked {
    fn add(&mut self, fault: impl FnOnce() -> String) {
        if self.faults.len() < MOST {
            self.faults.push(fault());
        }
    }
}

/// Reads the whole store, and compares every event with what was read from the source.
pub(crate) async fn check(client: &Client, work: &Work) -> Result<Checked, Failure> {
    let select =
        "SELECT e.number, e.line, p.version FROM events e JOIN places p USING (number) WHERE e.id = ?";
    let mut known = work.database.prepare(select).map_err(damaged)?;
    let options = ReadOptions { consistency: Some(Consistency::Strong), ..ReadOptions::default() };
    let mut lines = client.log_lines(options);
    let (mut checked, mut seen) = (Checked::default(), Seen::default());
    let bar = progress::bar(Some(work.count()?));
    while let Some(line) = lines.next().await {
        let event = line?.read().map_err(anyhow::Error::new)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found: Option<(i64, String, i64)> =
            known.query_row([event.id.as_bytes()], row).optional().map_err(damaged)?;
        let Some((number, line, version)) = found else { continue };
        seen.add(number);
        bar.inc(1);
        let expected = item(&with_version(&line, version.cast_unsigned()))?;
        match difference(expected, &event) {
            None => checked.same += 1,
            Some(field) => {
                checked.differing += 1;
                checked
                    .add(|| format!("event {} of stream {} differs in its {field}", event.id, event.stream));
            }
        }
    }
    bar.finish_and_clear();
    let mut all = work.database.prepare("SELECT number, id, stream FROM events").map_err(damaged)?;
    let mut rows = all.query([]).map_err(damaged)?;
    while let Some(row) = rows.next().map_err(damaged)? {
        if seen.has(row.get(0).map_err(damaged)?) {
            continue;
        }
        let (id, stream): ([u8; 16], String) = (row.get(1).map_err(damaged)?, row.get(2).map_err(damaged)?);
        checked.missing += 1;
        checked.add(|| format!("event {} of stream {stream} is missing", uuid::Uuid::from_bytes(id)));
    }
    Ok(checked)
}

fn item(line: &str) -> Result<Item, Failure> {
    match parse(0, line.as_bytes()) {
        Ok(Parsed::Item(item)) => Ok(*item),
        _ => Err(Failure::Failed(anyhow::anyhow!("the work folder holds a line that is no event"))),
    }
}

/// The first field in which a recorded event is not the one of a line.
fn difference(item: Item, found: &ReceivedEvent) -> Option<&'static str> {
    if found.data_state != DataState::Present {
        return Some("data, which this caller may not see");
    }
    let category = item.category.unwrap_or_else(|| item.stream.default_category());
    let aggregate_id = item.aggregate_id.unwrap_or_else(|| item.stream.default_aggregate_id());
    let Ok(event) = item.event.into_event(found.id) else { return Some("line, which is no event") };
    let is_same = [
        ("stream", found.stream == item.stream.as_str()),
        ("version", item.version == Some(found.version)),
        ("type", found.event_type == event.event_type.as_str()),
        ("data", found.content_type == event.content_type && is_same_data(&event, found)),
        ("metadata", given(event.metadata.as_deref()) == given(raw(found))),
        ("time", event.time == Some(found.time)),
        ("correlationId", found.correlation_id == event.correlation_id),
        ("causationId", found.causation_id == event.causation_id),
        ("category", is_named(&found.category, &category)),
        ("aggregateId", is_identified(&found.aggregate_id, &aggregate_id)),
    ];
    is_same.into_iter().find(|(_, is_same)| !is_same).map(|(field, _)| field)
}

fn is_named(found: &str, category: &Category) -> bool {
    found == category.as_str()
}

fn is_identified(found: &str, id: &AggregateId) -> bool {
    found == id.as_str()
}

fn raw(found: &ReceivedEvent) -> Option<&[u8]> {
    found.metadata.as_ref().map(|metadata| metadata.get().as_bytes())
}

fn is_same_data(event: &NewEvent, found: &ReceivedEvent) -> bool {
    if is_json(&event.content_type) {
        let expected = std::str::from_utf8(&event.data).map(on_one_line).ok();
        return expected.is_some() && expected == found.data.as_ref().map(|data| on_one_line(data.get()));
    }
    let bytes = found.data_base64.as_deref().and_then(base64_of);
    bytes.is_some_and(|bytes| bytes == event.data)
}

/// What a caller gave of an event's metadata: all but what the log wrote there.
fn given(metadata: Option<&[u8]>) -> Option<String> {
    let mut text = String::new();
    for (name, value) in metadata::members(metadata.unwrap_or(b"{}")).ok()? {
        if !name.starts_with(b"$") || name == metadata::IMPORTED.as_bytes() {
            // writing to a string cannot fail
            let _ = writeln!(text, "{name:?} {}", on_one_line(value.get()));
        }
    }
    Some(text)
}

/// Numbers of events that were seen: a bit each.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn place(number: i64) -> (usize, u64) {
        let number = usize::try_from(number).unwrap_or_default();
        (number / 64, 1 << (number % 64))
    }

    fn add(&mut self, number: i64) {
        let (word, bit) = Self::place(number);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn has(&self, number: i64) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = concat!(
        r#"{"stream":"Pay-1","id":"00000000-0000-0000-0000-000000000007","type":"Paid","time":"2024-01-01T00:00:00Z","#,
        r#""metadata":{"a":1,"$imported":{"n":2}},"correlationId":"c","data":{"n": 1.00},"version":3}"#
    );

    fn received(changes: &[(&str, &str)]) -> ReceivedEvent {
        let mut json = concat!(
            r#"{"position":9,"lane":0,"term":1,"stream":"Pay-1","category":"Pay","aggregateId":"1","version":3,"#,
            r#""id":"00000000-0000-0000-0000-000000000007","type":"Paid","data":{"n": 1.00},"contentType":"application/json","#,
            r#""metadata":{"a":1,"$imported":{"n":2},"$by":"local"},"correlationId":"c","time":"2024-01-01T00:00:00Z","#,
            r#""recordedAt":"2026-11-21T10:00:00Z","digest":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","dataState":"PRESENT"}"#
        )
        .to_owned();
        for (from, to) in changes {
            assert!(json.contains(from), "{from}");
            json = json.replace(from, to);
        }
        serde_json::from_str(&json).expect("an event")
    }

    #[test]
    fn every_field_counts() {
        let differs =
            |changes: &[(&str, &str)]| difference(item(LINE).expect("an event"), &received(changes));
        assert_eq!(differs(&[]), None);
        assert_eq!(differs(&[("\"$by\":\"local\"", "\"$by\":\"x\",\"$pod\":\"p\"")]), None);
        for (from, to, field) in [
            ("\"stream\":\"Pay-1\"", "\"stream\":\"Pay-2\"", "stream"),
            ("\"version\":3", "\"version\":4", "version"),
            ("\"Paid\"", "\"Refunded\"", "type"),
            ("1.00", "1.0", "data"),
            ("application/json", "application/x+json", "data"),
            ("\"a\":1", "\"a\":2", "metadata"),
            ("\"a\":1,", "", "metadata"),
            ("{\"n\":2}", "{\"n\":3}", "metadata"),
            ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000001Z", "time"),
            ("\"c\"", "\"d\"", "correlationId"),
            ("\"correlationId\":\"c\"", "\"correlationId\":\"c\",\"causationId\":\"c\"", "causationId"),
            ("\"category\":\"Pay\"", "\"category\":\"P\"", "category"),
            ("\"aggregateId\":\"1\"", "\"aggregateId\":\"2\"", "aggregateId"),
            ("PRESENT", "REDACTED", "data, which this caller may not see"),
        ] {
            assert_eq!(differs(&[(from, to)]), Some(field), "{from} {to}");
        }
    }

    #[test]
    fn seen_events_are_remembered() {
        let mut seen = Seen::default();
        for number in [1, 63, 64, 1_000] {
            seen.add(number);
        }
        let all: Vec<i64> = (0..2_000).filter(|number| seen.has(*number)).collect();
        assert_eq!(all, [1, 63, 64, 1_000]);
    }
}
