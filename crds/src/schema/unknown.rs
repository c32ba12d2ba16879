//! Fields that a kind does not have.

use serde_json::Value;

use super::{FieldPath, Violation, ViolationKind, preserves_unknown};

/// Every object has these, beside what its schema lists.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];

pub(super) fn check(schema: &Value, object: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    walk(schema, object, &FieldPath::root(), &mut violations);
    violations
}

fn walk(schema: &Value, value: &Value, path: &FieldPath, violations: &mut Vec<Violation>) {
    if preserves_unknown(schema) {
        return;
    }
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties").filter(|others| others.is_object());
            for (name, field) in fields {
                if path.segments().is_empty() && ENVELOPE.contains(&name.as_str()) {
                    continue;
                }
                match properties.and_then(|properties| properties.get(name)).or(others) {
                    Some(schema) => walk(schema, field, &path.field(name), violations),
                    None => {
                        // an object where something else is expected is a wrong type, not an unknown field
                        if let Some(properties) = properties {
                            let known = properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                            violations.push(Violation {
                                path: path.field(name),
                                kind: ViolationKind::UnknownField,
                                message: format!("unknown field; known here: {known}"),
                            });
                        }
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(schema, item, &path.item(index), violations);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
