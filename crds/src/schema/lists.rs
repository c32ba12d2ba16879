//! Lists whose items must differ: sets, and maps keyed by a field.

use std::collections::HashMap;

use serde_json::Value;

use super::{FieldPath, Violation, ViolationKind};

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListKind {
    /// Not at all.
    Atomic,
    /// By their whole value.
    Set,
    /// By these fields.
    Map(Vec<String>),
}

impl ListKind {
    pub(super) fn of(schema: &Value) -> Self {
        match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => Self::Set,
            Some("map") => {
                let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                Self::Map(keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => Self::Atomic,
        }
    }

    /// What tells an item apart from others, if anything does.
    pub(super) fn identity(&self, item: &Value) -> Option<String> {
        match self {
            Self::Atomic => None,
            Self::Set => Some(item.to_string()),
            Self::Map(keys) => {
                let values = keys.iter().map(|key| item.get(key)).collect::<Option<Vec<_>>>()?;
                Some(values.into_iter().map(Value::to_string).collect::<Vec<_>>().join(","))
            }
        }
    }
}

pub(super) fn check(schema: &Value, object: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    walk(schema, object, &FieldPath::root(), &mut violations);
    violations
}

fn walk(schema: &Value, value: &Value, path: &FieldPath, violations: &mut Vec<Violation>) {
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties");
            let others = schema.get("additionalProperties");
            for (name, field) in fields {
                if let Some(schema) = properties.and_then(|properties| properties.get(name)).or(others) {
                    walk(schema, field, &path.field(name), violations);
                }
            }
        }
        Value::Array(items) => {
            let kind = ListKind::of(schema);
            let mut seen = HashMap::new();
            for (index, item) in items.iter().enumerate() {
                let Some(identity) = kind.identity(item) else { continue };
                if let Some(first) = seen.insert(identity.clone(), index) {
                    violations.push(Violation {
                        path: path.item(index),
                        kind: ViolationKind::Duplicate,
                        message: match &kind {
                            ListKind::Map(keys) => {
                                format!("has the same {} {identity} as item {first}", keys.join(", "))
                            }
                            ListKind::Set | ListKind::Atomic => {
                                format!("is {identity} once more, as item {first}")
                            }
                        },
                    });
                }
            }
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(schema, item, &path.item(index), violations);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
