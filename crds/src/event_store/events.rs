//! What events may be, and what happens to them on their way in and out.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::references::ObjectRef;
use crate::values::{ByteSize, JsonPointer};

/// What events may be, and what happens to them on their way in and out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// Largest sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Check of event data against a JSON Schema per event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<EventsValidation>,
    /// What is added to the metadata of each event, under keys that begin with `$`; Trace and ServiceAccount if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub enrich: Option<Vec<EnrichWith>>,
    /// Parts of event data that are left out of answers, unless the caller has the verb reveal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub redact: Option<Vec<JsonPointer>>,
    /// Indexes beyond those that the store needs itself. Each makes appends slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub indexes: Option<Vec<EventIndex>>,
}

/// Largest sizes. The smallest limit of all sources holds beside these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Data of one event; 256Ki if absent, at most 8Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bytes: Option<ByteSize>,
    /// Metadata of one event; 16Ki if absent, at most 1Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_bytes: Option<ByteSize>,
    /// Events of one commit; 500 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub commit_events: Option<u32>,
    /// Data and metadata of one commit; 1Mi if absent, at most 8Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_bytes: Option<ByteSize>,
}

/// Check of event data against a JSON Schema per event type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventsValidation {
    /// What happens to data that breaks its schema; Ignore if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ValidationMode>,
    /// What happens to types without a schema; Allow if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_types: Option<UnknownTypes>,
    /// ConfigMap with one key `<type>.json` per event type. A byte of a type's name that a key cannot hold is
    /// written `_x` and two upper-case hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas_ref: Option<ObjectRef>,
}

/// What happens to data that breaks its schema.
// Its names are part of the stored format: policy events hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ValidationMode {
    /// Nothing is checked.
    #[default]
    Ignore,
    /// It is taken, and counted and logged.
    Warn,
    /// The append is refused.
    Enforce,
}

/// What happens to event types without a schema.
// Its names are part of the stored format: policy events hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum UnknownTypes {
    /// They are taken.
    #[default]
    Allow,
    /// They are treated like data that breaks its schema.
    Refuse,
}

/// What is added to the metadata of an event.
// Its names are part of the stored format: policy events hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum EnrichWith {
    /// The trace context of the request.
    Trace,
    /// The pod that appended.
    Pod,
    /// The namespace that appended.
    Namespace,
    /// The service account that appended.
    ServiceAccount,
}

/// An index beyond those that the store needs itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum EventIndex {
    /// By event type and position.
    Type,
    /// By aggregate id, for streams that are not named after it.
    AggregateId,
}
