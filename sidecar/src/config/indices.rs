//! How a source's indices in Elasticsearch are set up.

use std::time::Duration;

use polylog_crds::{
    event_store::{Elasticsearch, ElasticsearchFlavor, FieldsMode, SourceRole},
    resolve::ResolvedSource,
};
use polylog_source_elasticsearch::{Layout, Payload, provision::Flavor};
use serde::{Deserialize, Serialize};

/// What a manifest says of a source's indices, with every default said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredIndices {
    /// Which product it has to be, if the manifest names an Elasticsearch source.
    pub flavor: Option<ElasticsearchFlavor>,
    /// Shards of the index of the events.
    pub shards: u32,
    /// Further copies of each shard.
    pub replicas: u32,
    /// How long it takes until an event can be searched.
    pub refresh: Duration,
    /// Which fields of payloads can be searched.
    pub fields: FieldsMode,
    /// Whether searches by words are answered by the index.
    #[serde(default = "yes")]
    pub full_text: bool,
    /// Copies of a shard that must have a write before it counts.
    pub require_copies: u32,
    /// Whether the source counts in acks and elections.
    pub votes: bool,
}

/// What an older version did not say.
fn yes() -> bool {
    true
}

impl DeclaredIndices {
    /// What the manifest of a source says, or what holds where it declares another engine.
    pub(super) fn of(source: &ResolvedSource) -> Self {
        let declared = source.elasticsearch.as_ref();
        let index = declared.and_then(|declared| declared.index.as_ref());
        let layout = Layout::default();
        let interval = index.and_then(|index| index.refresh_interval).map(|interval| interval.as_std());
        Self {
            flavor: declared.map(|declared| declared.flavor.unwrap_or(ElasticsearchFlavor::Elasticsearch)),
            shards: index.and_then(|index| index.shards).unwrap_or(layout.shards),
            replicas: Elasticsearch::replicas(declared, source.role),
            refresh: interval.or(layout.refresh).unwrap_or_default(),
            fields: declared
                .and_then(|declared| declared.fields.as_ref()?.mode)
                .unwrap_or(FieldsMode::Flattened),
            full_text: declared.and_then(|declared| declared.full_text).unwrap_or(true),
            require_copies: declared.and_then(|declared| declared.require_copies).map_or(1, u32::from),
            votes: source.role == SourceRole::Voter,
        }
    }

    /// For the engine.
    pub(crate) fn layout(&self) -> Layout {
        Layout {
            shards: self.shards,
            replicas: self.replicas,
            refresh: Some(self.refresh),
            payload: match self.fields {
                FieldsMode::Flattened => Payload::Flattened,
                // the explicit ones are refused before
                FieldsMode::Explicit | FieldsMode::None => Payload::None,
            },
        }
    }

    /// For the engine.
    pub(crate) fn flavor(&self) -> Option<Flavor> {
        self.flavor.map(|flavor| match flavor {
            ElasticsearchFlavor::Elasticsearch => Flavor::Elasticsearch,
            ElasticsearchFlavor::OpenSearch => Flavor::OpenSearch,
        })
    }
}
