//! Our indices: what they are called, how they are set up, and the ids of the documents in them.

use std::time::Duration;

use polylog_log::{CommitId, EventId, Identity, Position, StreamName};
use serde_json::{Value, json};

use crate::Indices;

/// What queries can see of data and metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payload {
    /// Nothing.
    None,
    /// Every value, by its path, as a keyword: one field of the mapping, whatever the payloads are.
    #[default]
    Flattened,
}

/// How the indices are set up, as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Shards of the index of the events, 1 to 1,024; fixed when it is made.
    pub shards: u32,
    /// Further copies of each shard of every index.
    pub replicas: u32,
    /// How long it takes until an event can be searched, at most; `None` = only on demand.
    pub refresh: Option<Duration>,
    /// What queries can see of data and metadata; fixed when the index is made.
    pub payload: Payload,
}

impl Default for Layout {
    fn default() -> Self {
        Self { shards: 3, replicas: 1, refresh: Some(Duration::from_secs(30)), payload: Payload::Flattened }
    }
}

/// The two kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

/// An index of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The head and the leases.
    Head,
    /// A document per event, behind an alias.
    Events,
    /// Where streams, ids and commits stand.
    Lookup,
    /// What truncations removed.
    Quarantine,
}

/// In the order in which they are made.
pub(crate) const KINDS: [Kind; 4] = [Kind::Events, Kind::Lookup, Kind::Quarantine, Kind::Head];

/// What an index holds in its `_meta`, so that what is not ours is noticed.
pub(crate) const MARK: &str = "polylog";

impl Kind {
    /// What people call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Head => "head",
            Kind::Events => "events",
            Kind::Lookup => "lookup",
            Kind::Quarantine => "quarantine",
        }
    }

    /// The name by which it is used.
    pub fn name(self, indices: &Indices) -> String {
        match self {
            Kind::Head => indices.head(),
            Kind::Events => indices.events(),
            Kind::Lookup => indices.lookup(),
            Kind::Quarantine => indices.quarantine(),
        }
    }

    /// The settings that it shall have.
    pub(crate) fn settings(self, layout: &Layout) -> Value {
        let shards = if self == Kind::Events { layout.shards } else { 1 };
        let interval = match layout.refresh.filter(|_| self == Kind::Events) {
            Some(interval) if interval.subsec_millis() == 0 => format!("{}s", interval.as_secs()),
            Some(interval) => format!("{}ms", interval.as_millis()),
            // nothing is searched there
            None => "-1".into(),
        };
        json!({
            "index.number_of_shards": shards.to_string(),
            "index.number_of_replicas": layout.replicas.to_string(),
            "index.refresh_interval": interval,
            // an answered write is on disk
            "index.translog.durability": "request",
        })
    }

    /// The mapping that it shall have.
    pub(crate) fn mapping(self, layout: &Layout, flavor: Flavor) -> Value {
        match self {
            Kind::Events => {
                let keyword = || json!({ "type": "keyword" });
                let long = || json!({ "type": "long" });
                let date = || json!({ "type": "date" });
                let short = || json!({ "type": "keyword", "ignore_above": 1_000 });
                let mut fields = json!({
                    "store": keyword(), "w": long(), "position": long(), "first": long(), "last": long(),
                    "term": long(), "stream": keyword(), "version": long(), "aggregateType": keyword(),
                    "aggregateId": keyword(), "eventType": keyword(), "eventId": keyword(),
                    "commitId": keyword(), "contentType": short(), "correlationId": short(),
                    "causationId": short(), "timestamp": date(), "recordedAt": date(),
                    "timestampMicros": long(), "indexed": keyword(), "said": keyword(),
                    // words that are taken apart already
                    "searchText": { "type": "text", "analyzer": "whitespace", "index_options": "docs", "norms": false },
                });
                if layout.payload == Payload::Flattened {
                    let payload = match flavor {
                        Flavor::Elasticsearch => json!({ "type": "flattened", "ignore_above": 1_000 }),
                        Flavor::OpenSearch => json!({ "type": "flat_object" }),
                    };
                    fields["eventData"] = payload.clone();
                    fields["metadata"] = payload;
                }
                json!({ "dynamic": false, "_meta": { MARK: 1 }, "properties": fields })
            }
            // read by their ids alone
            Kind::Head | Kind::Lookup | Kind::Quarantine => json!({ "dynamic": false, "_meta": { MARK: 1 } }),
        }
    }
}

/// The id of the head of the log with this key.
pub(crate) fn head_id(indices: &Indices) -> String {
    format!("{}/0", indices.key())
}

/// The id of a lease.
pub(crate) fn lease_id(indices: &Indices, name: &str) -> String {
    format!("{}/lease/{name}", indices.key())
}

/// What the ids of a log's documents begin with: of this adoption, so that a late write of an earlier one, which counted
/// its revisions anew, overwrites nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store(String);

impl Store {
    pub(crate) fn of(indices: &Indices, identity: &Identity) -> Self {
        let incarnation = identity.incarnation.uuid().simple().to_string();
        Self(format!("{}/{}", indices.key(), &incarnation[..12]))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn event(&self, position: Position) -> String {
        format!("{}/0/{:020}", self.0, position.get())
    }

    pub(crate) fn quarantined(&self, cut: u64, position: Position) -> String {
        format!("{}/0/{cut}/{:020}", self.0, position.get())
    }

    pub(crate) fn stream(&self, stream: &StreamName) -> String {
        format!("{}/stream/{stream}", self.0)
    }

    pub(crate) fn event_id(&self, id: EventId) -> String {
        format!("{}/event/{id}", self.0)
    }

    pub(crate) fn commit(&self, id: CommitId) -> String {
        format!("{}/commit/{id}", self.0)
    }
}
