//! What is reported about a Projection.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::values::{SourceName, VersionLabel};

/// What is reported about a Projection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The version that answers queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveVersion>,
    /// The version that is being built beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<BuildingVersion>,
    /// Events that wait because an earlier one of their key failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<u64>,
    /// The event at which it stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<StalledEvent>,
    /// The pod that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub runs_on: Option<String>,
    /// Ready, Valid, Provisioned, Building, Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}

/// The version that answers queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ActiveVersion {
    /// Its label.
    pub version: VersionLabel,
    /// Hash of its content.
    #[schemars(length(max = 64))]
    pub hash: String,
    /// Each target.
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["source".into()]))]
    pub targets: Vec<TargetStatus>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetStatus {
    /// The source it is written to.
    pub source: SourceName,
    /// The last position that it holds.
    pub position: u64,
    /// Events that it is behind.
    #[schemars(length(max = 32))]
    pub lag: String,
}

/// The version that is being built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct BuildingVersion {
    /// Its label.
    pub version: VersionLabel,
    /// The last position that it holds.
    pub position: u64,
    /// The position at which it takes over.
    pub goal: u64,
    /// Estimated time until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub eta: Option<String>,
}

/// The event at which a projection stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StalledEvent {
    /// Its position.
    pub position: u64,
    /// Its id.
    #[schemars(length(max = 36))]
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    #[schemars(length(max = 200))]
    pub type_: String,
    /// Why it cannot be applied.
    #[schemars(length(max = 1024))]
    pub reason: String,
}
