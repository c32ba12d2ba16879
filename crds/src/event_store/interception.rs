//! Protocols of other stores that the sidecar answers itself.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::references::ObjectRef;
use crate::values::{CelExpression, IndexPattern, SourceName};

/// Protocols of other stores that the sidecar answers itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Interception {
    /// Elasticsearch's REST protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<ElasticsearchInterception>,
}

/// How Elasticsearch clients are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElasticsearchInterception {
    /// Port on localhost; 9200 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Version reported to clients; if absent or empty that of the source, else 7.17.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub version: Option<String>,
    /// The index names that are event streams. Nothing else is ever taken for one.
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub indices: Vec<InterceptedIndex>,
    /// Where all other requests go; if absent they are answered with an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_through: Option<PassThrough>,
}

/// An index name that is really a set of event streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InterceptedIndex {
    /// Name as clients use it; a `*` may end it.
    pub name: IndexPattern,
    /// CEL expression over `doc` that gives the stream's name.
    pub stream: CelExpression,
    /// Number of a stream's first version as clients see it; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub version_base: Option<u8>,
    /// What of one request is written together; Request if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atomicity: Option<InterceptionAtomicity>,
    /// How a version conflict is told; FailRequest if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,
    /// Hits of a search that names no size; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub default_size: Option<u32>,
}

/// What of one request is written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InterceptionAtomicity {
    /// All of it.
    Request,
    /// What belongs to one stream.
    Stream,
}

/// How a version conflict is told to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnConflict {
    /// The whole request fails with 409.
    FailRequest,
    /// The items of the refused stream carry 409 inside an answer of 200.
    Items,
}

/// Where requests go that are not about events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.credentials) && has(self.secretRef))").message("pass-through uses credentials or secretRef, not both"))]
pub struct PassThrough {
    /// The elasticsearch source that gets them.
    pub source: SourceName,
    /// Whose credentials they carry; Client if absent. Never the store's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PassThroughCredentials>,
    /// Secret with credentials of their own: `username` and `password`, or `api-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectRef>,
}

/// Whose credentials a passed request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PassThroughCredentials {
    /// The caller's Authorization header.
    Client,
}
