//! Our collections and indexes.

use mongodb::bson::{Bson, Document, doc};
use polylog_log::{IndexOptions, Position};

use crate::CollectionPrefix;

/// The head's document, and nothing else.
pub(crate) const HEAD: &str = "polylog_head";
/// A document per event.
pub(crate) const EVENTS: &str = "polylog_events";
/// A document per event that a truncation removed.
pub(crate) const QUARANTINE: &str = "polylog_quarantine";
/// A document per lease.
pub(crate) const LEASES: &str = "polylog_leases";
/// What a probe writes into, and removes.
pub(crate) const PROBE: &str = "polylog_probe";

/// In the order in which they are made.
pub(crate) const COLLECTIONS: [&str; 4] = [EVENTS, QUARANTINE, LEASES, HEAD];

/// The `_id` of the head's document: the lane.
pub(crate) const LANE: &str = "0";

/// The `_id` of an event: sorts by position.
pub(crate) fn event_id(position: Position) -> String {
    format!("{LANE}/{:020}", position.get())
}

/// The position in an event's `_id`.
pub(crate) fn position_of(id: &str) -> Option<Position> {
    Some(Position::new(id.strip_prefix(&format!("{LANE}/"))?.parse().ok()?))
}

/// The `_id` of an event that a truncation removed.
pub(crate) fn quarantine_id(cut: u64, position: Position) -> String {
    format!("{LANE}/{cut:020}/{:020}", position.get())
}

/// An index of the events. None is unique: above the head's base stand documents that are no facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [&'static str],
}

impl Index {
    pub(crate) fn key(&self) -> Document {
        self.fields.iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect()
    }

    pub(crate) fn create(&self, prefix: &CollectionPrefix) -> Document {
        doc! { "createIndexes": prefix.named(EVENTS), "indexes": [{ "key": self.key(), "name": self.name }] }
    }
}

pub(crate) fn drop_index(name: &str, prefix: &CollectionPrefix) -> Document {
    doc! { "dropIndexes": prefix.named(EVENTS), "index": name }
}

const ALWAYS: [Index; 4] = [
    Index { name: "polylog_stream", fields: &["stream", "version"] },
    Index { name: "polylog_event", fields: &["eventId"] },
    Index { name: "polylog_commit", fields: &["commitId"] },
    Index { name: "polylog_category", fields: &["aggregateType", "position"] },
];
const EVENT_TYPE: Index = Index { name: "polylog_type", fields: &["eventType", "position"] };
const AGGREGATE_ID: Index = Index { name: "polylog_aggregate", fields: &["aggregateId", "position"] };

/// The indexes that a log shall have.
pub(crate) fn indexes(options: IndexOptions) -> Vec<Index> {
    let mut indexes = ALWAYS.to_vec();
    indexes.extend(options.event_type.then_some(EVENT_TYPE));
    indexes.extend(options.aggregate_id.then_some(AGGREGATE_ID));
    indexes
}
