//! Judges an object the way an API server does: structure, unknown fields, unique list items, CEL rules.
//! Everything is read from the generated definitions, so that there is one set of rules.

mod field_path;
mod lists;
mod rules;
mod structure;
mod unknown;

use serde_json::Value;

pub use field_path::{FieldPath, Segment};
pub use rules::ListedRule;

/// What kind of demand an object breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViolationKind {
    /// A field that the kind does not have.
    UnknownField,
    /// A wrong type, a missing field, a pattern, a length, a bound, a value outside its enumeration.
    Structure,
    /// Two items of a list are the same, or have the same key.
    Duplicate,
    /// A CEL rule of the definition.
    Rule,
}

/// One demand that an object breaks. The author of the object has to change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the object.
    pub path: FieldPath,
    /// What kind of demand.
    pub kind: ViolationKind,
    /// What is wrong, for people.
    pub message: String,
}

/// The checks of one kind. They take about a megabyte: keep them no longer than objects are read.
pub struct KindSchema {
    document: Value,
    structure: structure::Structure,
    rules: rules::Rules,
}

impl KindSchema {
    /// From a definition as it is installed: its file is at hand, while making it anew takes a generator.
    fn compile(definition: &str) -> Self {
        let documents = crate::manifests::documents_as_json(definition).expect("a checked-in definition");
        let document = documents[0].pointer("/spec/versions/0/schema/openAPIV3Schema");
        let document = document.expect("a checked-in definition has a schema").clone();
        let structure =
            structure::Structure::compile(&document).expect("a generated schema, compiled by the tests");
        let rules = rules::Rules::compile(&document);
        Self { document, structure, rules }
    }

    /// The checks of EventStore.
    pub fn event_store() -> Self {
        Self::compile(include_str!("../../yaml/eventstores.yaml"))
    }

    /// The checks of ReplicationStrategy.
    pub fn replication_strategy() -> Self {
        Self::compile(include_str!("../../yaml/replicationstrategies.yaml"))
    }

    /// The checks of Projection.
    pub fn projection() -> Self {
        Self::compile(include_str!("../../yaml/projections.yaml"))
    }

    /// The schema as it stands in the definition.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every CEL rule with its place in the schema.
    pub fn listed_rules(&self) -> Vec<ListedRule> {
        rules::list(&self.document)
    }

    /// Everything that is wrong with a new object. CEL rules are judged only where the structure is right,
    /// as they rely on it.
    pub fn check(&self, object: &Value) -> Vec<Violation> {
        let mut violations = unknown::check(&self.document, object);
        violations.extend(self.structure.check(object));
        violations.extend(lists::check(&self.document, object));
        if violations.is_empty() {
            violations = self.rules.check(object, None);
        }
        violations
    }

    /// Everything that is wrong with replacing `old` by `new`; `old` is taken as valid.
    pub fn check_update(&self, old: &Value, new: &Value) -> Vec<Violation> {
        let violations = self.check(new);
        if violations.is_empty() { self.rules.check(new, Some(old)) } else { violations }
    }
}

/// Removes every `field: null` from objects, as the API server does for fields that cannot be null; none of ours can.
/// What stands inside free-form parts of a manifest (literals, affinity) is kept, since no schema names it.
pub fn prune_nulls(schema: &Value, value: &mut Value) {
    if preserves_unknown(schema) {
        return;
    }
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties");
            let others = schema.get("additionalProperties");
            fields.retain(|name, field| {
                let field_schema = properties.and_then(|properties| properties.get(name)).or(others);
                !field.is_null() || field_schema.is_none()
            });
            for (name, field) in fields.iter_mut() {
                if let Some(schema) = properties.and_then(|properties| properties.get(name)).or(others) {
                    prune_nulls(schema, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| prune_nulls(schema, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn preserves_unknown(schema: &Value) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
}
