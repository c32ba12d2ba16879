//! Rows of single events and the entries they form.

use std::sync::Arc;

use bytes::Bytes;
use polylog_log::{
    Chain, DataDigest, Digest, Entry, Event, Fingerprint, Held, HeldRow, JSON, ReadLog, RecordedEvent, Rule,
    Rules, Term,
};

/// Data, and what a row says to be its digest and that of its event.
pub type OtherData = (Bytes, DataDigest, Digest);

/// One event as stored: with what belongs to its entry on each row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) event: Event,
    pub(crate) term: Term,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) chain: Chain,
}

impl Row {
    /// The row of an event of an entry, as an engine that does not keep bytes would store it when the rule is off.
    pub(crate) fn of(entry: &Entry, event: &Event, rules: Rules) -> Self {
        let mut event = event.clone();
        if !rules.on(Rule::VerbatimBytes) {
            rewrite(&mut event);
        }
        Self { event, term: entry.term, fingerprint: entry.fingerprint, chain: entry.chain }
    }

    /// What a repair finds.
    pub(crate) fn held(&self) -> Held {
        let Self { event, term, fingerprint, chain } = self.clone();
        let fingerprint = (event.position == event.first).then_some(fingerprint);
        Held::Row(Box::new(HeldRow { event, term, chain, fingerprint }))
    }

    /// What a bad disk or somebody with a client makes of it.
    pub(crate) fn with_data(&self, (data, data_digest, digest): OtherData) -> Self {
        let event = Event { data: Some(data), data_digest, digest, ..self.event.clone() };
        Self { event, ..self.clone() }
    }

    pub(crate) fn without_data(&self) -> Self {
        Self { event: Event { data: None, ..self.event.clone() }, ..self.clone() }
    }

    pub(crate) fn recorded(&self) -> RecordedEvent {
        RecordedEvent { event: self.event.clone(), term: self.term, chain: self.chain }
    }
}

/// The rows of an entry.
pub(crate) fn rows(entry: &Entry, rules: Rules) -> impl Iterator<Item = Row> + '_ {
    entry.events.iter().map(move |event| Row::of(entry, event, rules))
}

/// What a queryable JSON type does to a text: parses it and writes it anew.
fn rewrite(event: &mut Event) {
    let parsed = event.data.as_deref().filter(|_| event.content_type == JSON).map(serde_json::from_slice);
    if let Some(Ok::<serde_json::Value, _>(value)) = parsed {
        event.data = Some(Bytes::from(value.to_string()));
    }
}

/// Whole entries from consecutive rows.
pub(crate) fn entries(rows: impl IntoIterator<Item = Arc<Row>>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for row in rows {
        let first = row.event.first;
        match entries.last_mut().filter(|entry| entry.events[0].first == first) {
            Some(entry) => entry.events.push(row.event.clone()),
            None => {
                let Row { term, fingerprint, chain, .. } = *row;
                entries.push(Entry { term, fingerprint, chain, events: vec![row.event.clone()] });
            }
        }
    }
    entries
}

/// How much of a page is used up.
#[derive(Default)]
pub(crate) struct Page {
    events: usize,
    bytes: usize,
}

impl Page {
    /// Counts what is read, if there is still room for it to begin.
    pub(crate) fn takes(
        &mut self,
        (events, bytes): (usize, usize),
        max_events: usize,
        max_bytes: usize,
    ) -> bool {
        let has_room = self.events < max_events && self.bytes < max_bytes;
        (self.events, self.bytes) = (self.events + events, self.bytes + bytes);
        has_room
    }
}

/// The entries among these, which begin with the one that holds `read.from`, that belong to the page.
pub(crate) fn log_page(entries: Vec<Entry>, read: &ReadLog, rules: Rules) -> Vec<Entry> {
    let mut page = Page::default();
    let mut taken: Vec<Entry> = Vec::new();
    for entry in entries {
        let size = (entry.events.len(), entry.size());
        let fits = page.takes(size, read.max_events, read.max_bytes) && entry.first() <= read.to;
        if !fits && !taken.is_empty() {
            break;
        }
        taken.push(entry);
    }
    if !rules.on(Rule::WholePages) {
        cut_to(&mut taken, read.max_events);
    }
    taken
}

fn cut_to(entries: &mut Vec<Entry>, mut events: usize) {
    for entry in entries.iter_mut() {
        entry.events.truncate(events);
        events -= entry.events.len();
    }
    entries.retain(|entry| !entry.events.is_empty());
}
