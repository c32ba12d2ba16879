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
