use std::collections::BTreeMap;

use polylog_crds::event_store::{EnrichWith, UnknownTypes, ValidationMode, Verb};
use polylog_log::Limits;
use serde::{Deserialize, Serialize};

/// Content of a `$policy` event, as JSON. Part of the stored format: fields are only added, and a reader that meets one
/// it does not know must refuse the policy, since what it cannot read could forbid something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyDocument {
    /// The store's own namespace, for rules and the default that refer to it.
    pub namespace: String,
    /// Who may do what; absent = every service account of the namespace may do all but reveal and admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Vec<AccessRule>>,
    /// How data is checked against schemas.
    #[serde(default)]
    pub validation: Validation,
    /// JSON Schema by event type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<String, serde_json::Value>,
    /// What is added to metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enrich: Vec<EnrichWith>,
    /// JSON pointers into event data that are left out of answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// Largest sizes.
    pub limits: Limits,
}

/// Grants verbs on categories to service accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessRule {
    /// Who.
    pub service_accounts: Vec<Account>,
    /// What they may do.
    pub verbs: Vec<Verb>,
    /// On streams of which categories; `*` stands for any run of characters.
    pub categories: Vec<String>,
}

/// A service account, or all of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its namespace; absent = the store's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name; `*` = every one.
    pub name: String,
}

/// How data is checked against schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validation {
    /// What happens to data that breaks its schema.
    #[serde(default)]
    pub mode: ValidationMode,
    /// What happens to types without a schema.
    #[serde(default)]
    pub unknown_types: UnknownTypes,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn whole() -> PolicyDocument {
        let all = json!({
            "namespace": "shop",
            "access": [{
                "serviceAccounts": [{ "name": "checkout" }, { "namespace": "reports", "name": "*" }],
                "verbs": ["append", "read"], "categories": ["Payment*"],
            }],
            "validation": { "mode": "Enforce", "unknownTypes": "Refuse" },
            "schemas": { "Paid": { "type": "object" } },
            "enrich": ["Trace", "Pod"],
            "redact": ["/card"],
            "limits": Limits::default(),
        });
        serde_json::from_value(all).expect("a policy")
    }

    /// What processes of later versions must still read: `POLYLOG_GENERATE=1` writes it.
    #[test]
    fn a_policy_is_written_as_recorded() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/formats/policy-1.json");
        let text = serde_json::to_string_pretty(&whole()).expect("JSON") + "\n";
        if std::env::var_os("POLYLOG_GENERATE").is_some() {
            std::fs::write(path, text).expect("it is written");
        } else {
            assert_eq!(std::fs::read_to_string(path).expect("the record"), text, "see docs/upgrades.md");
        }
    }

    #[test]
    fn a_policy_of_an_older_version_is_read_and_one_of_a_newer_refused() {
        let recorded = serde_json::to_value(whole()).expect("JSON");
        let least = json!({ "namespace": "shop", "limits": recorded["limits"] });
        let read = |policy: &Value| PolicyDocument::parse(policy.to_string().as_bytes());
        assert!(read(&least).is_ok());
        for place in ["", "/access/0", "/validation"] {
            let mut newer = recorded.clone();
            newer.pointer_mut(place).expect("an object")["only"] = json!("at night");
            assert!(read(&newer).is_err(), "{place}: it could forbid something");
        }
    }
}
