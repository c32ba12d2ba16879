//! The kind Projection: a read model, or a handler that is fed with events.

mod handler;
mod model;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use handler::{Backoff, Handler, HeadersFrom, HttpHandler, OnError, OnErrorPolicy};
pub use model::{Field, FieldType, Filter, Literal, ProjectionRoute, ProjectionRule, RouteAs, Target};
pub use status::{ActiveVersion, BuildingVersion, ProjectionStatus, StalledEvent, TargetStatus};

use crate::event_store::DeletionPolicy;
use crate::references::ObjectRef;
use crate::values::{CelExpression, Duration, VersionLabel};

/// A read model made from events, or a handler that is fed with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "polylog.dev",
    version = "v1alpha1",
    kind = "Projection",
    plural = "projections",
    namespaced,
    status = "ProjectionStatus",
    shortname = "proj",
    category = "polylog",
    derive = "PartialEq",
    doc = "A read model made from events, or a handler that is fed with them.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Store", type_ = "string", json_path = ".spec.eventStoreRef.name"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.active.version"),
    printcolumn(name = "Building", type_ = "string", json_path = ".status.building.version"),
    printcolumn(name = "Lag", type_ = "string", json_path = ".status.active.targets[0].lag"),
    printcolumn(name = "Parked", type_ = "integer", json_path = ".status.parked"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.handler) != has(self.rules) && has(self.rules) == has(self.targets) && has(self.rules) == has(self.fields)")
        .message("a projection has either a handler, or targets, fields and rules"),
    validation = Rule::new("!has(self.rules) || has(self.key)").message("a projection with rules needs a key"),
    validation = Rule::new("self.eventStoreRef == oldSelf.eventStoreRef").message("the store cannot change; make another projection"),
    validation = Rule::new("self.version != oldSelf.version || (has(self.rules) == has(oldSelf.rules) && (!has(self.rules) || (self.rules == oldSelf.rules && self.fields == oldSelf.fields && self.key == oldSelf.key)) && has(self.filter) == has(oldSelf.filter) && (!has(self.filter) || self.filter == oldSelf.filter) && has(self.route) == has(oldSelf.route) && (!has(self.route) || self.route == oldSelf.route))")
        .message("a changed projection needs a new version"),
)]
pub struct ProjectionSpec {
    /// The store whose events are read; cannot change.
    pub event_store_ref: ObjectRef,
    /// A label for the content of this projection; other content needs another label.
    pub version: VersionLabel,
    /// Whether it stands still; false if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens to the read model when this object is deleted; Retain if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Where it begins; Beginning if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ProjectFrom>,
    /// Which events are read; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Where the read model is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["source".into()]))]
    pub targets: Option<Vec<Target>>,
    /// CEL expression over `event` that gives the key of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CelExpression>,
    /// The fields of the read model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub fields: Option<Vec<Field>>,
    /// What each event does to its row; every rule that matches is applied, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rules: Option<Vec<ProjectionRule>>,
    /// How rows are spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<ProjectionRoute>,
    /// A service that is fed with events instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<Handler>,
    /// What happens when an event cannot be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// Caching of queries of this read model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<ProjectionCache>,
}

/// Where a projection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProjectFrom {
    /// At the first event.
    Beginning,
    /// After the last event there is.
    Now,
}

/// Caching of queries of a read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ProjectionCache {
    /// How long a result is kept; 300s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}
