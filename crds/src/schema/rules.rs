//! CEL rules, paired old and new as the API server pairs them.
//!
//! The validator that kube brings walks a whole schema, but pairs the items of old and new lists by index.
//! An API server pairs them by the keys of the list. So the walk is ours, and each node's rules alone are handed to
//! that validator.

use std::collections::BTreeMap;

use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

use super::lists::ListKind;
use super::{FieldPath, Violation, ViolationKind};

const RULES: &str = "x-kubernetes-validations";

pub(super) struct Rules {
    root: Option<Node>,
    schema: Value,
}

/// A place in the schema that has rules, at it or below it.
struct Node {
    own: Option<CompiledSchema>,
    properties: BTreeMap<String, Node>,
    items: Option<(ListKind, Box<Node>)>,
    others: Option<Box<Node>>,
}

/// One CEL rule of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRule {
    /// Where it stands in the schema, as `spec.sources[*].connection`.
    pub at: String,
    /// The expression.
    pub rule: String,
    /// What it says when it is broken.
    pub message: Option<String>,
    /// Whether old and new values can be paired here, as a rule about a change needs.
    pub correlatable: bool,
}

impl Rules {
    pub(super) fn compile(schema: &Value) -> Self {
        Self { root: Node::compile(schema), schema: schema.clone() }
    }

    pub(super) fn check(&self, object: &Value, old: Option<&Value>) -> Vec<Violation> {
        let mut violations = Vec::new();
        if let Some(root) = &self.root {
            let old = old.map(|old| in_order_of(&self.schema, object, old));
            root.check(&Validator::new(), object, old.as_ref(), &FieldPath::root(), &mut violations);
        }
        violations
    }
}

impl Node {
    fn compile(schema: &Value) -> Option<Self> {
        let properties: BTreeMap<_, _> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, schema)| Some((name.clone(), Self::compile(schema)?)))
            .collect();
        let items = schema.get("items").and_then(Self::compile);
        let items = items.map(|items| (ListKind::of(schema), Box::new(items)));
        let others = schema.get("additionalProperties").and_then(Self::compile).map(Box::new);
        let own = schema.get(RULES).is_some().then(|| compile_schema(&without_rules_below(schema)));
        let used = own.is_some() || !properties.is_empty() || items.is_some() || others.is_some();
        used.then_some(Self { own, properties, items, others })
    }

    fn check(
        &self,
        validator: &Validator,
        value: &Value,
        old: Option<&Value>,
        path: &FieldPath,
        violations: &mut Vec<Violation>,
    ) {
        if let Some(own) = &self.own
            && let Err(errors) = validator.validate_compiled(own, value, old)
        {
            violations.extend(errors.into_iter().map(|error| Violation {
                path: path.clone(),
                kind: ViolationKind::Rule,
                message: error.message,
            }));
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let Some(node) = self.properties.get(name).or(self.others.as_deref()) {
                        let old = old.and_then(|old| old.get(name));
                        node.check(validator, field, old, &path.field(name), violations);
                    }
                }
            }
            Value::Array(items) => {
                let Some((kind, node)) = &self.items else { return };
                let old_items = old.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                for (index, item) in items.iter().enumerate() {
                    let identity = kind.identity(item);
                    let old = identity.and_then(|identity| {
                        old_items.iter().find(|old| kind.identity(old).as_ref() == Some(&identity))
                    });
                    node.check(validator, item, old, &path.item(index), violations);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// `old` with the items of its sets and keyed lists in the order of `new`, since their order means nothing and
/// Kubernetes compares them without it.
fn in_order_of(schema: &Value, new: &Value, old: &Value) -> Value {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            let properties = schema.get("properties");
            let others = schema.get("additionalProperties");
            let ordered = old.iter().map(|(name, old)| {
                let schema = properties.and_then(|properties| properties.get(name)).or(others);
                let ordered = match (schema, new.get(name)) {
                    (Some(schema), Some(new)) => in_order_of(schema, new, old),
                    _ => old.clone(),
                };
                (name.clone(), ordered)
            });
            Value::Object(ordered.collect())
        }
        (Value::Array(new), Value::Array(old)) => {
            let kind = ListKind::of(schema);
            let Some(item_schema) = schema.get("items") else { return Value::Array(old.clone()) };
            let place_in_new = |item: &Value| {
                let identity = kind.identity(item)?;
                new.iter().position(|new| kind.identity(new).as_ref() == Some(&identity))
            };
            let mut placed = old.iter().map(|old| (place_in_new(old), old)).collect::<Vec<_>>();
            placed.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
            let ordered =
                placed.into_iter().map(|(place, old)| match place.and_then(|place| new.get(place)) {
                    Some(new) => in_order_of(item_schema, new, old),
                    None => old.clone(),
                });
            Value::Array(ordered.collect())
        }
        _ => old.clone(),
    }
}

/// The schema with the rules of this node only, since the walk reaches the others itself.
fn without_rules_below(schema: &Value) -> Value {
    fn strip(schema: &mut Value) {
        if let Some(schema) = schema.as_object_mut() {
            schema.remove(RULES);
        }
        strip_below(schema);
    }
    fn strip_below(schema: &mut Value) {
        for place in ["items", "additionalProperties"] {
            if let Some(schema) = schema.get_mut(place) {
                strip(schema);
            }
        }
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        properties.into_iter().flat_map(|properties| properties.values_mut()).for_each(strip);
    }
    let mut schema = schema.clone();
    strip_below(&mut schema);
    schema
}

/// Every rule below `schema`.
pub(super) fn list(schema: &Value) -> Vec<ListedRule> {
    let mut listed = Vec::new();
    walk(schema, "", true, &mut listed);
    listed
}

fn walk(schema: &Value, at: &str, correlatable: bool, listed: &mut Vec<ListedRule>) {
    let text = |rule: &Value, name: &str| rule.get(name).and_then(Value::as_str).map(str::to_owned);
    for rule in schema.get(RULES).and_then(Value::as_array).into_iter().flatten() {
        listed.push(ListedRule {
            at: at.to_owned(),
            rule: text(rule, "rule").unwrap_or_default(),
            message: text(rule, "message"),
            correlatable,
        });
    }
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        walk(schema, &at, correlatable, listed);
    }
    if let Some(items) = schema.get("items") {
        let correlatable = correlatable && matches!(ListKind::of(schema), ListKind::Map(_));
        walk(items, &format!("{at}[*]"), correlatable, listed);
    }
    if let Some(others) = schema.get("additionalProperties") {
        walk(others, &format!("{at}.*"), correlatable, listed);
    }
}
