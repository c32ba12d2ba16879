//! What is reported about an EventStore.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SourceRole;
use crate::condition::Condition;
use crate::references::ObjectRef;
use crate::replication_strategy::{FailoverMode, StrategyType};
use crate::values::{AckLevel, SourceName};

/// What is reported about an EventStore, at most every 30 s unless a condition changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventStoreStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Identity of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub store_id: Option<String>,
    /// The source that assigns positions now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<SourceName>,
    /// The term of the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// The last position of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Address of the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub endpoint: Option<String>,
    /// Certificates, in PEM, of who vouches for the gateway to other namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub gateway_authority: Option<String>,
    /// Texts for the columns of `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<StatusSummary>,
    /// The strategy in force, with presets and defaults resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyStatus>,
    /// Each source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 18))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sources: Option<Vec<SourceStatus>>,
    /// The last comparison of the sources; absent while nothing was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<ConsistencyStatus>,
    /// Pods with a sidecar of this store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodsStatus>,
    /// The provisioning plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// Ready, Available, Valid, Provisioned, Replicating, Consistent, ApprovalRequired, SidecarsCurrent,
    /// CredentialsValid, ConnectionBudget, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}

/// Texts for the columns of `kubectl get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusSummary {
    /// Sources in sync of all, for example 3/3.
    #[schemars(length(max = 16))]
    pub sources: String,
    /// Events that the slowest source is behind.
    #[schemars(length(max = 32))]
    pub lag: String,
    /// How much of what was compared is equal, for example 100 %; empty while nothing was compared.
    #[schemars(length(max = 32))]
    pub consistent: String,
    /// Current sidecars of all, for example 12/12.
    #[schemars(length(max = 32))]
    pub pods: String,
}

/// The strategy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct StrategyStatus {
    /// Name of the ReplicationStrategy; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub type_: StrategyType,
    /// Its generation; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The ack level in force.
    pub acks: AckLevel,
    /// The failover mode in force.
    pub failover: FailoverMode,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Its name.
    pub name: SourceName,
    /// Its role now.
    pub role: SourceRole,
    /// How it follows.
    pub state: SourceSyncState,
    /// Its last position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Events that it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_events: Option<u64>,
    /// Seconds that it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Identity of this database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub database_id: Option<String>,
    /// Version of its stored format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_version: Option<u32>,
    /// Where and why it stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<StalledAt>,
    /// Events of a lost tail that it keeps in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<u64>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// How a source follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceSyncState {
    /// Its tables do not exist, or it is not part of the log yet.
    Unprovisioned,
    /// It is being filled.
    Syncing,
    /// It has everything.
    InSync,
    /// It is behind.
    Lagging,
    /// It cannot take the next entry.
    Stalled,
    /// It promised a higher term.
    Fenced,
    /// It holds a lost tail.
    Divergent,
    /// It does not answer.
    Unreachable,
    /// It is under maintenance.
    Maintenance,
}

/// Where and why a source stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StalledAt {
    /// The position that it cannot take.
    pub position: u64,
    /// Why not.
    #[schemars(length(max = 1024))]
    pub reason: String,
}

/// The last comparison of the sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsistencyStatus {
    /// How much of what was compared is equal, in per cent.
    #[schemars(length(max = 8))]
    pub percent: String,
    /// How much was compared, in per cent.
    #[schemars(length(max = 8))]
    pub verified_percent: String,
    /// When the part that was compared longest ago was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_verification: Option<jiff::Timestamp>,
    /// Events that a source lacks.
    pub missing: u64,
    /// Events that differ.
    pub differing: u64,
    /// Events that only one source has.
    pub extra: u64,
}

/// Pods with a sidecar of this store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodsStatus {
    /// Pods that carry the label.
    pub selected: u32,
    /// Pods that have the sidecar.
    pub injected: u32,
    /// Pods with an older sidecar.
    pub outdated: u32,
    /// Pods that need a restart to see new Secrets.
    pub restart_needed: u32,
    /// The oldest sidecar's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub oldest_version: Option<String>,
    /// The version of the sidecars that are injected now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub current_version: Option<String>,
}

/// The provisioning plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// What an approval must name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hash: Option<String>,
    /// How far it is.
    pub phase: PlanPhase,
    /// The first steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub steps: Option<Vec<PlanStep>>,
    /// How many steps are not shown here.
    pub more: u32,
    /// ConfigMap with every step, also as SQL or in the form of the database's own tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details_ref: Option<ObjectRef>,
}

/// How far a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlanPhase {
    /// There is nothing to do.
    None,
    /// It waits for approval.
    Pending,
    /// It is approved.
    Approved,
    /// It is being carried out.
    Applying,
    /// It is carried out.
    Applied,
    /// A step failed.
    Failed,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStep {
    /// The source it changes.
    pub source: SourceName,
    /// What it may cost.
    pub class: StepClass,
    /// What it does.
    #[schemars(length(max = 256))]
    pub summary: String,
}

/// What a step may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum StepClass {
    /// It only adds.
    Additive,
    /// It takes long or holds locks.
    Slow,
    /// It removes data.
    Destructive,
}
