use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    sync::Arc,
};

use polylog_log::{
    CONFIG, CommitId, ConfigPoint, Cut, Entry, EventId, Head, Lease, Point, Position, Quarantined, Rule,
    Rules, StreamName,
};
use uuid::Uuid;

use crate::entries::{Row, rows};

/// The document that decides everything.
#[derive(Debug, Clone)]
pub(super) struct HeadDocument {
    /// With the revision that every swap compares.
    pub(super) head: Head,
    /// Fresh at every swap: tells whose it was.
    pub(super) operation: Uuid,
    /// Everything up to here is written out.
    pub(super) base: Point,
    /// What follows `base`, up to the tail.
    pub(super) batch: Vec<Entry>,
    /// Every truncation.
    pub(super) cuts: Vec<Cut>,
    /// The configuration before the first `$config`.
    pub(super) implicit: ConfigPoint,
}

/// One event, and the revision of the head that it was written out from.
#[derive(Debug, Clone)]
pub(super) struct EventDocument {
    pub(super) revision: u64,
    pub(super) row: Arc<Row>,
}

/// What the store holds.
#[derive(Debug, Clone)]
pub struct Collections {
    pub(super) head: Arc<HeadDocument>,
    pub(super) events: BTreeMap<Position, EventDocument>,
    pub(super) quarantine: BTreeMap<(u64, Position), Quarantined>,
    pub(super) leases: HashMap<String, Lease>,
}

impl Collections {
    pub(super) fn new(head: HeadDocument) -> Self {
        let (events, quarantine, leases) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { head: Arc::new(head), events, quarantine, leases }
    }
}

impl HeadDocument {
    pub(super) fn new(head: Head) -> Self {
        Self {
            base: head.tail,
            implicit: head.config.clone(),
            head,
            operation: Uuid::nil(),
            batch: Vec::new(),
            cuts: Vec::new(),
        }
    }

    /// Event documents above this are not facts.
    pub(super) fn facts_end(&self, rules: Rules) -> Position {
        if rules.on(Rule::CommittedOnly) { self.base.position } else { Position::new(u64::MAX) }
    }

    /// The rows of the batch.
    pub(super) fn batch_rows(&self) -> impl DoubleEndedIterator<Item = Row> {
        let rows: Vec<_> = self.batch.iter().flat_map(|entry| rows(entry, Rules::ALL)).collect();
        rows.into_iter()
    }
}

/// What a query selects by, besides a range of positions.
#[derive(Debug, Clone)]
pub(super) enum Filter<'a> {
    All,
    Stream(&'a StreamName, Rules),
    Category(&'a polylog_log::Category),
    Ids(&'a [EventId]),
    Commits(&'a [CommitId]),
    Configs,
}

impl Filter<'_> {
    pub(super) fn selects(&self, row: &Row) -> bool {
        let event = &row.event;
        match self {
            Filter::All => true,
            Filter::Stream(stream, rules) => is_same(stream, &event.stream, *rules),
            Filter::Category(category) => event.category == **category,
            Filter::Ids(ids) => ids.contains(&event.id),
            Filter::Commits(commits) => commits.contains(&event.commit_id),
            Filter::Configs => event.event_type.as_str() == CONFIG,
        }
    }
}

fn is_same(a: &StreamName, b: &StreamName, rules: Rules) -> bool {
    a == b || !rules.on(Rule::NamesAsBytes) && a.as_str().to_lowercase() == b.as_str().to_lowercase()
}

/// A part of a range, or nothing.
pub(super) fn up_to(range: &RangeInclusive<Position>, end: Position) -> Option<RangeInclusive<Position>> {
    let range = *range.start()..=end.min(*range.end());
    (!range.is_empty()).then_some(range)
}
