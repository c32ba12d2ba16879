//! The kind ReplicationStrategy: how the sources of a store follow each other.

mod routes;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use routes::Route;

use crate::condition::Condition;
use crate::values::{AckLevel, ByteSize, Duration, ObjectName, SourceName};

/// How the sources of a store follow each other. Holds policy only, and may serve several stores of its namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "polylog.dev",
    version = "v1alpha1",
    kind = "ReplicationStrategy",
    plural = "replicationstrategies",
    namespaced,
    status = "ReplicationStrategyStatus",
    shortname = "repstrat",
    category = "polylog",
    derive = "PartialEq",
    doc = "How the sources of an EventStore follow each other; may serve several stores of its namespace.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Acks", type_ = "string", json_path = ".spec.acks"),
    printcolumn(name = "Failover", type_ = "string", json_path = ".spec.failover.mode"),
    printcolumn(
        name = "Valid",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Valid")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Valid")].reason"#,
        priority = "1"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'EventTypePartitioning') == has(self.routes) && has(self.routes) == has(self.defaultRoute)")
        .message("routes and defaultRoute belong to EventTypePartitioning, which needs both"),
    validation = Rule::new("self.type != 'FullReplication' || !has(self.acks) || self.acks != '1'")
        .message("FullReplication is not answered by one source alone; choose another type or other acks"),
    validation = Rule::new("(self.type == 'EventTypePartitioning') == (oldSelf.type == 'EventTypePartitioning')")
        .message("changing to or from EventTypePartitioning moves data: make a new store"),
    validation = Rule::new("!has(self.order) || self.order.all(a, self.order.exists_one(b, a == b))")
        .message("order names a source twice"),
)]
pub struct ReplicationStrategySpec {
    /// Which preset the absent fields take their values from.
    #[serde(rename = "type")]
    pub type_: StrategyType,
    /// Sources in the order of preference for the primary; the order of the store's `sources` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 9))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub order: Option<Vec<SourceName>>,
    /// How many voters must hold an append before it is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acks: Option<AckLevel>,
    /// How many voters must stay in sync; counts only with acks All. A majority of the voters if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub min_in_sync: Option<u8>,
    /// How long an append waits for its acks; 5s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_timeout: Option<Duration>,
    /// What happens when the primary is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    /// What reads are served from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
    /// What happens to the tail that lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
    /// Which source keeps the data of which events; the first match wins. Only for EventTypePartitioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub routes: Option<Vec<Route>>,
    /// Which source keeps the data of all other events. Only for EventTypePartitioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_route: Option<SourceName>,
}

/// A preset of replication settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StrategyType {
    /// The primary answers, the others follow.
    Priority,
    /// Every source in sync holds an append before it is answered.
    FullReplication,
    /// Appends go on while any source lives; what is lost by that is found and kept in quarantine.
    BestEffort,
    /// Every source has every event, but its data is kept only where its type is routed to.
    EventTypePartitioning,
}

/// What happens when the primary is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// Who chooses another primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FailoverMode>,
    /// How long the primary must be silent; 2s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// How much may be unreplicated before appends are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unreplicated: Option<MaxUnreplicated>,
}

/// Who chooses another primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailoverMode {
    /// Nobody.
    Never,
    /// A person.
    Manual,
    /// The gateway, by election; needs three voters, but for BestEffort.
    Automatic,
}

/// How much may be unreplicated before appends are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct MaxUnreplicated {
    /// In events; 10000 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9007199254740991_u64))]
    pub events: Option<u64>,
    /// In bytes; 64Mi if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteSize>,
}

/// What reads are served from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reads {
    /// The consistency of a read that asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// How long a session read waits for its source before it tries another; 200ms if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// Events that a source may be behind for a bounded read; 1000 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9007199254740991_u64))]
    pub max_lag_events: Option<u64>,
    /// Time that a source may be behind for a bounded read; 2s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lag: Option<Duration>,
    /// Which of several eligible sources is read; Fastest if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer: Option<ReadPreference>,
}

/// What a read is guaranteed to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Consistency {
    /// Everything that was acknowledged before it began.
    Strong,
    /// Everything that its token has seen.
    Session,
    /// At most a bounded lag.
    Bounded,
    /// Whatever the source has.
    Eventual,
}

/// Which of several eligible sources is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReadPreference {
    /// The one that answers such reads soonest.
    Fastest,
    /// One of the reader's region.
    Local,
    /// The primary.
    Primary,
}

/// What happens to the tail that lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Divergence {
    /// It is kept aside and counted.
    Quarantine,
    /// Its commits are appended again where nothing contradicts them; the rest is kept aside.
    ReplayIfClean,
}

/// What is reported about a ReplicationStrategy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicationStrategyStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The EventStores that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub used_by: Option<Vec<ObjectName>>,
    /// Valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}
