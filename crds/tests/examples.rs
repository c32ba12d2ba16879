//! The example that README and docs use passes as it is.

mod support;

use std::collections::BTreeMap;

use polylog_crds::resolve::ResolvedStore;
use polylog_crds::validate::{Capabilities, validate};

#[test]
fn payments() {
    let manifests = polylog_crds::manifests::read(&support::repository().join("examples/payments"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifests.notes, Vec::<String>::new());
    assert_eq!(validate(&manifests, &Capabilities::DEV, &BTreeMap::new()), []);
    let key = manifests.stores.keys().next().expect("the store").clone();
    assert_eq!(key.to_string(), "default/payments");
    let store = ResolvedStore::resolve(&manifests, &key, Capabilities::DEV.voters).expect("the store");
    assert_eq!(store.first_primary().map(|source| source.name.as_str()), Some("ledger"));
    let schemas = &store.policy.validation.schemas.0;
    let types = schemas.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(types, ["PaymentProcessed", "PaymentRefunded"]);
    let processed =
        jsonschema::validator_for(&schemas[&"PaymentProcessed".parse().expect("a type")]).expect("a schema");
    assert!(processed.is_valid(&serde_json::json!({"amount": "100.00"})));
    assert!(!processed.is_valid(&serde_json::json!({"amount": 100.0})));
    assert!(!processed.is_valid(&serde_json::json!({})));
}
