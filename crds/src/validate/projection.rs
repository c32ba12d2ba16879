//! Projections.

use std::collections::BTreeMap;

use super::at;
use super::capabilities::{Capabilities, Feature, Support};
use super::expressions;
use super::finding::{About, Finding, FindingCode, Kind};
use crate::manifests::{Manifests, ObjectKey};
use crate::projection::{Field, FieldType, OnErrorPolicy, ProjectionRule, ProjectionSpec};
use crate::schema::FieldPath;
use crate::values::CelExpression;

pub(super) fn check(
    manifests: &Manifests,
    key: &ObjectKey,
    capabilities: &Capabilities,
    findings: &mut Vec<Finding>,
) {
    let Some(loaded) = manifests.projections.get(key) else { return };
    let spec = &loaded.object.spec;
    let about = About { kind: Kind::Projection, object: key.clone(), findings };
    let mut check = Check { spec, about };
    if capabilities.support(Feature::Projections) != Support::Works {
        let message = format!(
            "{} of this version does not run projections; this one is left alone",
            capabilities.program
        );
        check.about.warn(FieldPath::root(), FindingCode::NotSupported, message);
    }
    check.references(manifests, key);
    check.expressions();
    check.fields();
    check.errors();
}

struct Check<'check> {
    spec: &'check ProjectionSpec,
    about: About<'check>,
}

impl Check<'_> {
    fn references(&mut self, manifests: &Manifests, key: &ObjectKey) {
        let name = self.spec.event_store_ref.name.clone();
        let store_key = ObjectKey { namespace: key.namespace.clone(), name };
        let Some(store) = manifests.stores.get(&store_key) else {
            let message = format!("there is no EventStore {store_key}");
            self.about.refuse(at(["eventStoreRef", "name"]), FindingCode::InvalidReference, message);
            return;
        };
        for (index, target) in self.spec.targets.iter().flatten().enumerate() {
            if !store.object.spec.sources.iter().any(|source| source.name == target.source) {
                let message = format!("EventStore {store_key} has no source {}", target.source);
                let path = at(["targets"]).item(index).field("source");
                self.about.refuse(path, FindingCode::InvalidReference, message);
            }
        }
    }

    fn expressions(&mut self) {
        let mut found = Vec::new();
        found.extend(self.spec.key.as_ref().map(|key| (key, at(["key"]))));
        let when = self.spec.filter.as_ref().and_then(|filter| expressions::present(filter.when.as_ref()));
        found.extend(when.map(|when| (when, at(["filter", "when"]))));
        found.extend(self.spec.route.as_ref().map(|route| (&route.by, at(["route", "by"]))));
        for (index, rule) in self.spec.rules.iter().flatten().enumerate() {
            let path = at(["rules"]).item(index);
            found.extend(expressions::present(rule.when.as_ref()).map(|when| (when, path.field("when"))));
            for (name, expressions) in [("set", &rule.set), ("add", &rule.add)] {
                for (field, expression) in expressions.iter().flatten() {
                    found.push((expression, path.field(name).field(field)));
                }
            }
        }
        for (expression, path) in found {
            if let Some(message) = expressions::problem(expression, &["event"]) {
                self.about.refuse(path, FindingCode::InvalidExpression, message);
            }
        }
    }

    fn fields(&mut self) {
        let fields: BTreeMap<&str, &Field> =
            self.spec.fields.iter().flatten().map(|field| (field.name.as_str(), field)).collect();
        for (index, field) in self.spec.fields.iter().flatten().enumerate() {
            if field.default.as_deref().is_some_and(|default| !fits(default, field.type_)) {
                let message = format!("is no {:?}", field.type_);
                self.about.refuse(
                    at(["fields"]).item(index).field("default"),
                    FindingCode::InvalidValue,
                    message,
                );
            }
        }
        for (index, rule) in self.spec.rules.iter().flatten().enumerate() {
            let path = at(["rules"]).item(index);
            for (name, path) in named_fields(rule, &path) {
                if !fields.contains_key(name) {
                    let message = format!("the projection has no field {name}");
                    self.about.refuse(path, FindingCode::InvalidReference, message);
                }
            }
            for name in rule.add.iter().flat_map(BTreeMap::<String, CelExpression>::keys) {
                let number = |field: &&Field| matches!(field.type_, FieldType::Integer | FieldType::Decimal);
                if fields.get(name.as_str()).is_some_and(|field| !number(field)) {
                    let message = "only Integer and Decimal fields can be added to";
                    self.about.refuse(path.field("add").field(name), FindingCode::InvalidValue, message);
                }
            }
        }
    }

    fn errors(&mut self) {
        let Some(on_error) = &self.spec.on_error else { return };
        if on_error.policy == Some(OnErrorPolicy::ParkKey) && self.spec.key.is_none() {
            let message = "ParkKey needs a key";
            self.about.refuse(at(["onError", "policy"]), FindingCode::InvalidValue, message);
        }
        if let Some(backoff) = &on_error.backoff
            && let (Some(min), Some(max)) = (backoff.min, backoff.max)
            && min > max
        {
            let message = format!("is {min}, longer than max, which is {max}");
            self.about.refuse(at(["onError", "backoff", "min"]), FindingCode::InvalidValue, message);
        }
    }
}

/// Every field that a rule names, with the place.
fn named_fields<'rule>(rule: &'rule ProjectionRule, path: &FieldPath) -> Vec<(&'rule str, FieldPath)> {
    let place = |part: &str, name: &str| path.field(part).field(name);
    let constants = rule.constants.iter().flatten().map(|(name, _)| (name.as_str(), place("const", name)));
    let set = rule.set.iter().flatten().map(|(name, _)| (name.as_str(), place("set", name)));
    let add = rule.add.iter().flatten().map(|(name, _)| (name.as_str(), place("add", name)));
    let remove = rule.remove.iter().flatten().enumerate();
    let remove = remove.map(|(index, name)| (name.as_str(), path.field("remove").item(index)));
    constants.chain(set).chain(add).chain(remove).collect()
}

fn fits(text: &str, type_: FieldType) -> bool {
    match type_ {
        FieldType::String => true,
        FieldType::Integer => text.parse::<i64>().is_ok(),
        FieldType::Decimal => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
            [whole, fraction]
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        }
        FieldType::Boolean => matches!(text, "true" | "false"),
        FieldType::Timestamp => text.parse::<jiff::Timestamp>().is_ok(),
        FieldType::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
    }
}
