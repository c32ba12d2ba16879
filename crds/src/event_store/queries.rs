//! Searching and caching.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Connection;
use crate::values::{ByteSize, Duration, SourceName};

/// Which source answers searches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Search {
    /// The elasticsearch source.
    pub source: SourceName,
    /// Whether a search waits for what its caller appended; Session if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<SearchFreshness>,
}

/// Whether a search waits for what its caller appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SearchFreshness {
    /// It waits, for a bounded time.
    Session,
    /// It answers at once.
    Eventual,
}

/// Caching of query results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    /// How long a result is kept; 300s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Memory of one process for results; 32Mi if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
    /// A second level behind the memory, used by the gateway only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisCache>,
}

/// A Redis server as second level of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedisCache {
    /// How it is reached.
    pub connection: Connection,
}
