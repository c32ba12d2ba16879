use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    sync::Arc,
};

use polylog_log::{
    CommitId, CommitReceipt, ConfigPoint, Entry, EventId, Facts, Head, Lease, Point, Position, Quarantined,
    RecordedCommit, Rule, Rules, StreamHead, StreamName, Timestamp, Version, Wanted,
};

use crate::entries::{Row, entries};

/// A write within a transaction.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// One event.
    Insert(Arc<Row>),
    /// Removes all events after a position.
    RemoveAfter(Position),
    /// Keeps what was removed.
    Quarantine(Quarantined),
    /// Replaces the head.
    Head(Box<Head>),
    /// Replaces a lease.
    Lease(String, Option<Lease>),
}

/// The database's tables with their indexes.
#[derive(Clone)]
pub struct Tables {
    rules: Rules,
    pub(super) head: Head,
    pub(super) events: BTreeMap<Position, Arc<Row>>,
    configs: Vec<ConfigPoint>,
    streams: HashMap<String, BTreeMap<Version, Position>>,
    ids: HashMap<EventId, Position>,
    commits: HashMap<CommitId, Position>,
    pub(super) quarantine: Vec<Quarantined>,
    pub(super) leases: HashMap<String, Lease>,
}

impl Tables {
    pub(super) fn new(head: Head, rules: Rules) -> Self {
        let configs = vec![head.config.clone()];
        Self {
            rules,
            head,
            configs,
            events: BTreeMap::new(),
            streams: HashMap::new(),
            ids: HashMap::new(),
            commits: HashMap::new(),
            quarantine: Vec::new(),
            leases: HashMap::new(),
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Insert(row) => self.insert(row),
            Change::RemoveAfter(position) => self.remove_after(position),
            Change::Quarantine(removed) => self.quarantine.push(removed),
            Change::Head(head) => {
                self.configs.retain(|config| config.position < head.config.position);
                self.configs.push(head.config.clone());
                self.head = *head;
            }
            Change::Lease(name, Some(lease)) => {
                self.leases.insert(name, lease);
            }
            Change::Lease(name, None) => {
                self.leases.remove(&name);
            }
        }
    }

    fn insert(&mut self, row: Arc<Row>) {
        let event = &row.event;
        let versions = self.streams.entry(key(&event.stream, self.rules)).or_default();
        versions.insert(event.version, event.position);
        self.ids.insert(event.id, event.position);
        self.commits.insert(event.commit_id, event.first);
        self.events.insert(event.position, row);
    }

    fn remove_after(&mut self, position: Position) {
        for row in self.events.split_off(&position.next()).into_values() {
            self.ids.remove(&row.event.id);
            self.commits.remove(&row.event.commit_id);
            let key = key(&row.event.stream, self.rules);
            if let Some(versions) = self.streams.get_mut(&key) {
                versions.remove(&row.event.version);
                if versions.is_empty() {
                    self.streams.remove(&key);
                }
            }
        }
    }

    pub(super) fn facts(&self, wanted: &Wanted) -> Facts {
        let commit = |id: &CommitId| Some((*id, self.commit(*id)?));
        let stream = |name: &StreamName| Some((name.clone(), self.stream(name)?));
        let event = |id: &EventId| {
            let event = &self.event(*id)?.event;
            Some((*id, (event.stream.clone(), event.position)))
        };
        Facts {
            commits: wanted.commits.iter().filter_map(commit).collect(),
            streams: wanted.streams.iter().filter_map(stream).collect(),
            events: wanted.events.iter().filter_map(event).collect(),
        }
    }

    fn commit(&self, id: CommitId) -> Option<RecordedCommit> {
        let first = *self.commits.get(&id)?;
        let last = self.events.get(&first)?.event.last;
        let entry = entries(self.rows(first..=last)).pop()?;
        Some(RecordedCommit {
            receipt: CommitReceipt::of(&entry),
            fingerprint: entry.fingerprint,
            first_event: entry.events[0].id,
        })
    }

    pub(super) fn event(&self, id: EventId) -> Option<&Row> {
        self.events.get(self.ids.get(&id)?).map(Arc::as_ref)
    }

    pub(super) fn stream(&self, name: &StreamName) -> Option<StreamHead> {
        let (_, position) = self.streams.get(&key(name, self.rules))?.last_key_value()?;
        let event = &self.events.get(position)?.event;
        let (category, aggregate_id) = (event.category.clone(), event.aggregate_id.clone());
        Some(StreamHead { version: event.version, category, aggregate_id })
    }

    /// The rows of a stream from a version on, or down from one.
    pub(super) fn stream_rows(&self, name: &StreamName, from: Version, backward: bool) -> Vec<Arc<Row>> {
        let Some(versions) = self.streams.get(&key(name, self.rules)) else { return Vec::new() };
        let row = |(_, position): (&Version, &Position)| self.events.get(position).cloned();
        if backward {
            versions.range(..=from).rev().filter_map(row).collect()
        } else {
            versions.range(from..).filter_map(row).collect()
        }
    }

    pub(super) fn rows(&self, range: RangeInclusive<Position>) -> Vec<Arc<Row>> {
        if range.is_empty() {
            Vec::new()
        } else {
            self.events.range(range).map(|(_, row)| row.clone()).collect()
        }
    }

    /// The entries from the one that holds a position on.
    pub(super) fn entries_from(&self, from: Position) -> Vec<Entry> {
        let first = self.events.get(&from).map_or(from, |row| row.event.first);
        entries(self.events.range(first..).map(|(_, row)| row.clone()))
    }

    /// The entry that ends at a position, if one does.
    pub(super) fn kept(&self, at: Position) -> Option<(Point, Timestamp)> {
        if at.is_zero() {
            return Some((Point::start(self.head.identity.log), Timestamp::EPOCH));
        }
        let row = self.events.get(&at).filter(|row| row.event.last == at)?;
        Some((Point { position: at, term: row.term, chain: row.chain }, row.event.recorded_at))
    }

    /// The configuration in force at a position.
    pub(super) fn config_at(&self, position: Position) -> &ConfigPoint {
        let held = self.configs.iter().rfind(|config| config.position <= position);
        held.unwrap_or(&self.head.config)
    }
}

/// What an index compares: the name's bytes.
fn key(name: &StreamName, rules: Rules) -> String {
    if rules.on(Rule::NamesAsBytes) { name.as_str().into() } else { name.as_str().to_lowercase() }
}
