//! Whether the cluster has our kinds, as this version knows them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    super::{
        kubectl::{Kubectl, KubectlError, Scope},
        object::{list, text},
        pods::by_name,
    },
    line::Line,
};

type Found = Result<BTreeMap<String, Value>, KubectlError>;

/// The definitions of our kinds in the cluster, by name.
pub(super) fn ask(kubectl: &Kubectl) -> Found {
    let names: Vec<String> = ours().into_keys().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = kubectl.list("customresourcedefinitions.apiextensions.k8s.io", &names, Scope::Given)?;
    Ok(by_name(found).into_iter().collect())
}

/// This version's, by name.
fn ours() -> BTreeMap<String, Value> {
    let definitions = polylog_crds::definitions().into_iter();
    let definition = |definition| {
        let value = serde_json::to_value(&definition).expect("plain structs with string keys serialise");
        (text(&value, "/metadata/name").to_owned(), value)
    };
    definitions.map(definition).collect()
}

/// Before an installation: none, or ours. Pure.
pub(super) fn before(found: &Found) -> Vec<Line> {
    let lines = |found: &BTreeMap<String, Value>| {
        let line = |(name, ours): (String, Value)| match found.get(&name) {
            None => Line::passed(name, "not there yet; the chart makes it"),
            Some(theirs) if is_same(&ours, theirs) => Line::passed(name, "there, as this version knows it"),
            Some(_) => {
                let fix = "helm upgrade replaces it; with watchNamespaces an administrator does";
                Line::warning(name, "there, of another version", fix)
            }
        };
        ours().into_iter().map(line).collect()
    };
    judged(found, lines)
}

/// After it. Pure.
pub(super) fn after(found: &Found) -> Vec<Line> {
    let lines = |found: &BTreeMap<String, Value>| {
        let line = |(name, ours): (String, Value)| match found.get(&name) {
            None => {
                let fix =
                    "install the chart; with watchNamespaces or crds.install=false an administrator makes it";
                Line::failed(name, "not there", fix)
            }
            Some(theirs) if !is_established(theirs) => {
                let fix = format!("kubectl describe crd {name}");
                Line::failed(name, "the API server does not serve it", fix)
            }
            Some(theirs) if !is_same(&ours, theirs) => {
                let fix = "install the chart of this version, or use the kubectl-polylog of the operator's";
                Line::warning(name, "of another version than this program", fix)
            }
            Some(_) => Line::passed(name, "as this version knows it"),
        };
        ours().into_iter().map(line).collect()
    };
    judged(found, lines)
}

fn judged(found: &Found, lines: impl Fn(&BTreeMap<String, Value>) -> Vec<Line>) -> Vec<Line> {
    match found {
        Ok(found) => lines(found),
        Err(error) => vec![Line::of_error("kinds", error, "see the message")],
    }
}

fn is_established(definition: &Value) -> bool {
    let conditions = list(definition, "/status/conditions").iter();
    conditions.clone().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// Whether both give the same fields under each version's name.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    let schemas = |definition: &Value| -> BTreeMap<String, Value> {
        let of = |version: &Value| (text(version, "/name").to_owned(), whole(&version["schema"]));
        list(definition, "/spec/versions").iter().map(of).collect()
    };
    schemas(ours) == schemas(theirs)
}

/// With one way to write a number: the API server makes 1 of 1.0.
fn whole(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), Value::from),
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), whole(value))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_there_and_of_this_version() {
        let mut found = ours();
        assert_eq!(found.len(), 3);
        for definition in found.values_mut() {
            definition["status"] = json!({ "conditions": [{ "type": "Established", "status": "True" }] });
        }
        let outcomes = |found: &BTreeMap<String, Value>| -> Vec<&'static str> {
            after(&Ok(found.clone())).iter().map(|line| line.outcome.mark()).collect()
        };
        assert_eq!(outcomes(&found), ["ok"; 3]);
        let name = "eventstores.polylog.dev".to_owned();
        let place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let stores = found.get_mut(&name).expect("it is ours");
        stores.pointer_mut(place).expect("a schema")["newer"] = json!({ "type": "string" });
        assert_eq!(outcomes(&found), ["warning", "ok", "ok"]);
        found.get_mut(&name).expect("it is ours")["status"] = json!({});
        assert_eq!(outcomes(&found), ["FAILED", "ok", "ok"]);
        found.remove(&name);
        assert_eq!(outcomes(&found), ["FAILED", "ok", "ok"]);
        assert_eq!(before(&Ok(found))[0].outcome.mark(), "ok");
        assert_eq!(after(&Err(KubectlError::Forbidden("no".into())))[0].outcome.mark(), "unknown");
    }

    #[test]
    fn numbers_are_compared_whatever_their_form() {
        assert_eq!(whole(&json!({ "maximum": 9.0 })), whole(&json!({ "maximum": 9 })));
        assert_ne!(whole(&json!([1])), whole(&json!([2])));
    }
}
