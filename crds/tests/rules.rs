//! Every CEL rule of the definitions is broken once, and only that one.

mod support;

use std::collections::BTreeSet;

use polylog_crds::schema::{Violation, ViolationKind};
use support::objects::{Case, Harmless, KINDS, cases, harmless, projection, schema_of, store, strategy};

fn rule_messages(violations: &[Violation]) -> Vec<&str> {
    assert!(violations.iter().all(|violation| violation.kind == ViolationKind::Rule), "{violations:?}");
    violations.iter().map(|violation| violation.message.as_str()).collect()
}

fn schema_path(violation: &Violation) -> String {
    let path = violation.path.to_string();
    (0..10).fold(path, |path, index| path.replace(&format!("[{index}]"), "[*]"))
}

#[test]
fn every_rule_is_red_once_and_alone() {
    let mut red = BTreeSet::new();
    for Case { at, message, old, new } in cases() {
        let schema = schema_of(&new);
        let violations = match &old {
            None => schema.check(&new),
            Some(old) => {
                assert_eq!(schema.check(old), [], "old: {old}");
                assert_eq!(schema.check(&new), [], "new: {new}");
                assert_eq!(schema.check_update(&new, &new), [], "unchanged: {new}");
                schema.check_update(old, &new)
            }
        };
        let messages = rule_messages(&violations);
        assert!(messages.len() == 1 && messages[0].contains(message), "{at} {message}: {messages:?}");
        assert_eq!(schema_path(&violations[0]), at);
        red.insert((std::ptr::from_ref(schema) as usize, at.to_owned(), messages[0].to_owned()));
    }
    for schema in KINDS.values() {
        for rule in schema.listed_rules() {
            let message = rule.message.expect("a message");
            let key = (std::ptr::from_ref(schema) as usize, rule.at.clone(), message.clone());
            assert!(red.contains(&key), "no case breaks {}: {message}", rule.at);
        }
    }
}

#[test]
fn right_objects_and_harmless_changes_pass() {
    for object in [store(), projection(), strategy()] {
        let schema = schema_of(&object);
        assert_eq!(schema.check(&object), []);
        assert_eq!(schema.check_update(&object, &object), []);
    }
    for Harmless { what, old, new } in harmless() {
        assert_eq!(schema_of(&old).check_update(&old, &new), [], "{what}");
    }
}
