//! What an EventStore says of itself. Read as JSON: one of a newer operator may say more than this version knows.

use serde_json::Value;

/// An EventStore as the cluster has it.
#[derive(Debug, Clone)]
pub(super) struct Store(pub(super) Value);

/// A condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition<'a> {
    pub(super) type_: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    pub(super) since: &'a str,
}

/// The text at this place; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at this place; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What stands at this place, as one writes it.
pub(super) fn shown(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Store {
    pub(super) fn name(&self) -> &str {
        text(&self.0, "/metadata/name")
    }

    pub(super) fn namespace(&self) -> &str {
        text(&self.0, "/metadata/namespace")
    }

    pub(super) fn resource_version(&self) -> &str {
        text(&self.0, "/metadata/resourceVersion")
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition<'_>> {
        list(&self.0, "/status/conditions").iter().map(|condition| Condition {
            type_: text(condition, "/type"),
            status: text(condition, "/status"),
            reason: text(condition, "/reason"),
            message: text(condition, "/message"),
            since: text(condition, "/lastTransitionTime"),
        })
    }

    pub(super) fn condition(&self, type_: &str) -> Option<Condition<'_>> {
        self.conditions().find(|condition| condition.type_ == type_)
    }

    /// The status of a condition, `Unknown` where it is not told.
    pub(super) fn says(&self, type_: &str) -> &str {
        self.condition(type_).map_or("Unknown", |condition| condition.status)
    }

    /// Whether the status is about the specification as it is now.
    pub(super) fn is_observed(&self) -> bool {
        let generation = self.0.pointer("/metadata/generation").and_then(Value::as_i64);
        let observed = self.0.pointer("/status/observedGeneration").and_then(Value::as_i64);
        observed.is_some() && observed >= generation
    }

    /// What an approval of the plan that waits must name.
    pub(super) fn plan_hash(&self) -> Option<&str> {
        Some(text(&self.0, "/status/plan/hash")).filter(|hash| !hash.is_empty())
    }

    /// `Apply`, `PlanOnly` or `External`.
    pub(super) fn provisioning_mode(&self) -> &str {
        match text(&self.0, "/spec/provisioning/mode") {
            "" => "Apply",
            mode => mode,
        }
    }

    /// The version of the sidecars that are injected now, if the operator says it.
    pub(super) fn current_version(&self) -> Option<&str> {
        Some(text(&self.0, "/status/pods/currentVersion")).filter(|version| !version.is_empty())
    }
}
