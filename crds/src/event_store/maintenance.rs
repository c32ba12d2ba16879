//! Verification, alert thresholds and provisioning.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::Duration;

/// Comparison of the sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Time in which everything is compared once; 24h if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Duration>,
    /// Most reads per second for it; 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100000))]
    pub max_reads_per_second: Option<u32>,
}

/// Thresholds that are exported as metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Alerts {
    /// How far a source may be behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<AlertLag>,
}

/// How far a source may be behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct AlertLag {
    /// In events; 10000 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9007199254740991_u64))]
    pub events: Option<u64>,
    /// In time; 60s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Duration>,
}

/// Who creates tables, collections and indices, and who approves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provisioning {
    /// What we do; Apply if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ProvisioningMode>,
    /// Up to which class steps need nobody's approval; Additive if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_approve: Option<ApprovedClass>,
}

/// What we do about tables, collections and indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProvisioningMode {
    /// Plan and carry out.
    Apply,
    /// Only plan.
    PlanOnly,
    /// Only check; somebody else carries out.
    External,
}

/// Up to which class steps need nobody's approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ApprovedClass {
    /// No step goes unapproved.
    None,
    /// Steps that only add.
    Additive,
    /// Also steps that take long.
    Slow,
}
