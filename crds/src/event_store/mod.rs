//! The kind EventStore: one logical event store, kept in one or more sources.

mod access;
mod connection;
mod engines;
mod events;
mod interception;
mod maintenance;
mod pods;
mod queries;
mod sources;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use access::{AccessRule, ServiceAccountRef, Verb};
pub use connection::{Connection, ConnectionAuth, ConnectionTimeouts, Pool, Tls, TlsMode};
pub use engines::{
    Elasticsearch, ElasticsearchFields, ElasticsearchFlavor, ElasticsearchIndex, Engine, ExplicitField,
    ExplicitFieldType, FieldsMode, Mongodb, Mysql, Postgres,
};
pub use events::{EnrichWith, EventIndex, Events, EventsValidation, Limits, UnknownTypes, ValidationMode};
pub use interception::{
    ElasticsearchInterception, InterceptedIndex, Interception, InterceptionAtomicity, OnConflict,
    PassThrough, PassThroughCredentials,
};
pub use maintenance::{AlertLag, Alerts, ApprovedClass, Provisioning, ProvisioningMode, Verification};
pub use pods::{
    ExtraPodFields, Gateway, LogLevel, PodTemplate, Resources, Sidecar, Toleration, TolerationEffect,
    TolerationOperator,
};
pub use queries::{Cache, RedisCache, Search, SearchFreshness};
pub use sources::{Source, SourceRole, SourceState};
pub use status::{
    ConsistencyStatus, EventStoreStatus, PlanPhase, PlanStatus, PlanStep, PodsStatus, SourceStatus,
    SourceSyncState, StalledAt, StatusSummary, StepClass, StrategyStatus,
};

use crate::references::ObjectRef;
use crate::values::SourceName;

/// One logical event store, kept in one or more databases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "polylog.dev",
    version = "v1alpha1",
    kind = "EventStore",
    plural = "eventstores",
    namespaced,
    status = "EventStoreStatus",
    shortname = "evstore",
    category = "polylog",
    derive = "PartialEq",
    doc = "One logical event store, kept in one or more databases.",
    validation = Rule::new("self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("an EventStore's name has at most 50 characters, begins with a letter, and holds only lower-case letters, digits and hyphens"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Available", type_ = "string", json_path = r#".status.conditions[?(@.type=="Available")].status"#),
    printcolumn(name = "Primary", type_ = "string", json_path = ".status.primary"),
    printcolumn(name = "Sources", type_ = "string", json_path = ".status.summary.sources"),
    printcolumn(name = "Lag", type_ = "string", json_path = ".status.summary.lag"),
    printcolumn(name = "Consistent", type_ = "string", json_path = ".status.summary.consistent"),
    printcolumn(name = "Pods", type_ = "string", json_path = ".status.summary.pods"),
    printcolumn(name = "Strategy", type_ = "string", json_path = ".status.strategy.name", priority = "1"),
    printcolumn(name = "Term", type_ = "integer", json_path = ".status.term", priority = "1"),
    printcolumn(name = "Position", type_ = "integer", json_path = ".status.position", priority = "1"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.primary) || self.sources.exists(s, s.name == self.primary && (has(s.role) ? s.role == 'Voter' : !has(s.elasticsearch)))")
        .message("primary must name a voter"),
    validation = Rule::new("self.sources.exists(s, has(s.role) ? s.role == 'Voter' : !has(s.elasticsearch))")
        .message("at least one source must be a voter"),
    validation = Rule::new("!has(self.search) || self.sources.exists(s, s.name == self.search.source && has(s.elasticsearch))")
        .message("search.source must name an elasticsearch source"),
    validation = Rule::new("(has(self.lanes) && has(self.lanes.count) ? self.lanes.count : 1) == (has(oldSelf.lanes) && has(oldSelf.lanes.count) ? oldSelf.lanes.count : 1) && (has(self.lanes) && has(self.lanes.by) ? self.lanes.by : 'Stream') == (has(oldSelf.lanes) && has(oldSelf.lanes.by) ? oldSelf.lanes.by : 'Stream')")
        .message("lanes cannot change"),
)]
pub struct EventStoreSpec {
    /// The ReplicationStrategy of this store; if absent, Priority in the order of `sources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_ref: Option<ObjectRef>,
    /// The wanted primary; changing it is a planned switch. If absent, the strategy's order decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<SourceName>,
    /// Whether the operator leaves everything as it is; the data path goes on. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens to the data when this object is deleted; Retain if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What happens with sources that already carry an identity; IfIdentical if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,
    /// Who writes to the sources; Direct if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Units of total order; cannot change. One lane if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<Lanes>,
    /// The databases that hold a copy of the log.
    #[schemars(length(min = 1, max = 9))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sources: Vec<Source>,
    /// What events may be and what happens to them on their way in and out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// Who may do what. If absent, every service account of this namespace has every verb but admin and reveal,
    /// and others have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub access: Option<Vec<AccessRule>>,
    /// Protocols of other stores that the sidecar answers itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interception: Option<Interception>,
    /// Which source answers searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// Caching of query results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// Comparison of the sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// Thresholds that are exported as metrics, so that one alerting rule serves every store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Alerts>,
    /// Who creates tables, collections and indices, and who approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<Provisioning>,
    /// The container in application pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Sidecar>,
    /// The Deployment that does the background work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

/// What happens to data when its object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The data stays.
    Retain,
    /// The data is deleted, held back by a finalizer until that is done.
    Delete,
}

/// What happens with a database that already carries an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adopt {
    /// It is taken over if all sources agree on the identity.
    IfIdentical,
    /// It is refused.
    Never,
}

/// Who writes to the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Delivery {
    /// The sidecar of each pod.
    Direct,
    /// The gateway; application pods hold no database credentials.
    Gateway,
}

/// Units of total order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Lanes {
    /// How many; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub count: Option<u8>,
    /// What goes into one lane together; Stream if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<LaneBy>,
}

/// What goes into one lane together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LaneBy {
    /// The events of a stream.
    Stream,
    /// The streams of a category.
    Category,
}
