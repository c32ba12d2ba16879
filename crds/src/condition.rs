//! Conditions as every kind reports them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One observation about an object, in the form that Kubernetes tools understand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is observed, for example Ready.
    #[serde(rename = "type")]
    #[schemars(length(max = 64))]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word for programs.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// A sentence for people.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// The generation of the spec that this observation is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` changed last.
    pub last_transition_time: jiff::Timestamp,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It could not be found out.
    Unknown,
}
