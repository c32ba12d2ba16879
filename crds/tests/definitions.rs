//! The definitions that are installed: checked in, without defaults, bounded, readable by every YAML reader.

mod support;

use kube::core::cel::{ScopeContext, WarningKind, analyze_rule, compile_schema};
use polylog_crds::schema::KindSchema;
use polylog_crds::{definitions, to_template, to_yaml};
use serde_json::Value;

fn schemas() -> Vec<(String, Value)> {
    let schema = |definition: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let schema = definition.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        serde_json::to_value(schema.expect("a schema")).expect("JSON")
    };
    definitions().iter().map(|definition| (definition.spec.names.kind.clone(), schema(definition))).collect()
}

/// Calls `visit` with every schema node and where it stands.
fn walk(schema: &Value, at: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(at, schema);
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(schema, &format!("{at}.{name}"), visit);
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{at}[*]"), visit);
    }
    if let Some(others) = schema.get("additionalProperties") {
        walk(others, &format!("{at}.*"), visit);
    }
}

#[test]
fn checked_in_files_are_current() {
    for definition in definitions() {
        let name = format!("{}.yaml", definition.spec.names.plural);
        let generated = [
            ("crds/yaml", to_yaml(&definition).expect("YAML")),
            ("charts/polylog/templates/crds", to_template(&definition).expect("YAML")),
        ];
        for (folder, generated) in generated {
            let path = support::repository().join(folder).join(&name);
            let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                checked_in == generated,
                "{folder}/{name} is out of date: cargo run -p polylog-crds --bin generate-crds"
            );
        }
    }
}

#[test]
fn every_text_list_and_map_is_bounded() {
    let mut unbounded = Vec::new();
    let mut nodes = 0;
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |at, node| {
            nodes += 1;
            let type_ = node.get("type").and_then(Value::as_str);
            let int_or_string = node.get("x-kubernetes-int-or-string").is_some();
            let bound = match type_ {
                _ if int_or_string => Some("maxLength"),
                // the length of a point in time and the values of an enumeration are known
                Some("string") if node.get("format").is_some() || node.get("enum").is_some() => None,
                Some("string") => Some("maxLength"),
                Some("array") => Some("maxItems"),
                Some("object") if node.get("additionalProperties").is_some() => Some("maxProperties"),
                _ => None,
            };
            if let Some(bound) = bound.filter(|bound| node.get(bound).is_none()) {
                unbounded.push(format!("{at} has no {bound}"));
            }
            if type_ == Some("array") && node.get("x-kubernetes-list-type").is_none() {
                unbounded.push(format!("{at} has no x-kubernetes-list-type"));
            }
        });
    }
    assert!(nodes > 300, "only {nodes} nodes were seen");
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn nothing_has_a_default_or_may_be_null() {
    let mut found = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |at, node| {
            for keyword in ["default", "nullable", "title", "oneOf", "allOf", "not"] {
                if node.get(keyword).is_some() {
                    found.push(format!("{at} has {keyword}"));
                }
            }
            if node.get("anyOf").is_some() && node.get("x-kubernetes-int-or-string").is_none() {
                found.push(format!("{at} has anyOf"));
            }
            let format = node.get("format").and_then(Value::as_str);
            if !matches!(format, None | Some("int32" | "int64" | "date-time")) {
                found.push(format!("{at} has the format {format:?}"));
            }
        });
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_field_is_described() {
    let mut silent = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |at, node| {
            let is_field = !at.ends_with("[*]") && !at.ends_with(".*");
            if is_field && node.get("description").is_none() {
                silent.push(at.to_owned());
            }
        });
    }
    assert_eq!(silent, Vec::<String>::new());
}

/// The description of an optional field must be the field's own, which says what absence means, not its type's.
#[test]
fn descriptions_are_those_of_the_fields() {
    let (_, store) = schemas().swap_remove(0);
    let description = &store["properties"]["spec"]["properties"]["adopt"]["description"];
    assert_eq!(
        description,
        "What happens with sources that already carry an identity; IfIdentical if absent."
    );
}

#[test]
fn no_name_or_value_is_a_boolean_of_yaml_1_1() {
    let is_boolean = |text: &str| {
        ["y", "yes", "n", "no", "on", "off", "true", "false"].contains(&text.to_ascii_lowercase().as_str())
    };
    let mut found = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |at, node| {
            let name = at.rsplit('.').next().unwrap_or_default();
            if is_boolean(name) {
                found.push(at.to_owned());
            }
            // the status of a condition is True and False by Kubernetes' convention, and only programs write it
            let conditions = at.ends_with("status.conditions[*].status");
            for value in
                node.get("enum").and_then(Value::as_array).into_iter().flatten().filter(|_| !conditions)
            {
                if value.as_str().is_some_and(is_boolean) {
                    found.push(format!("{at}: {value}"));
                }
            }
        });
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn rules_say_what_is_wrong_and_stand_where_they_can_be_judged() {
    for schema in [KindSchema::event_store(), KindSchema::replication_strategy(), KindSchema::projection()] {
        let rules = schema.listed_rules();
        assert!(!rules.is_empty());
        for rule in rules {
            assert!(rule.message.is_some(), "{}: {} has no message", rule.at, rule.rule);
            // an API server refuses a definition with a rule about a change inside an atomic list
            assert!(rule.correlatable || !rule.rule.contains("oldSelf"), "{}: {}", rule.at, rule.rule);
        }
    }
}

#[test]
fn rules_are_cheap_enough_for_an_api_server() {
    let mut found = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |at, node| {
            let rules = node.get("x-kubernetes-validations").and_then(Value::as_array);
            let compiled = compile_schema(node);
            for rule in rules.into_iter().flatten().filter_map(|rule| rule["rule"].as_str()) {
                for warning in analyze_rule(rule, &compiled, ScopeContext::CrdValidation) {
                    if warning.kind != WarningKind::WrongScope {
                        found.push(format!("{at}: {}: {}", rule, warning.message));
                    }
                }
            }
        });
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn kinds_are_named_and_shown_as_documented() {
    let shown = |index: usize| {
        let definition = &definitions()[index];
        let names = &definition.spec.names;
        assert_eq!(definition.spec.group, "polylog.dev");
        assert_eq!(definition.spec.scope, "Namespaced");
        assert_eq!(names.categories.as_deref(), Some(&["polylog".to_owned()][..]));
        let version = &definition.spec.versions[0];
        assert!(version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some()));
        let columns = version.additional_printer_columns.as_ref().expect("columns");
        let column = |wide: bool| {
            let columns = columns.iter().filter(|column| (column.priority == Some(1)) == wide);
            columns.map(|column| column.name.to_uppercase()).collect::<Vec<_>>().join(" ")
        };
        let short = names.short_names.clone().unwrap_or_default().join(" ");
        format!("{} {} {short}: {} | {}", names.kind, names.plural, column(false), column(true))
    };
    assert_eq!(
        shown(0),
        "EventStore eventstores evstore: READY AVAILABLE PRIMARY SOURCES LAG CONSISTENT PODS AGE | STRATEGY TERM \
         POSITION REASON"
    );
    assert_eq!(
        shown(1),
        "ReplicationStrategy replicationstrategies repstrat: TYPE ACKS FAILOVER VALID AGE | REASON"
    );
    assert_eq!(
        shown(2),
        "Projection projections proj: READY STORE VERSION BUILDING LAG PARKED REASON AGE | "
    );
}
