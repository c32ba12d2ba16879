//! What the definitions' rules cannot say. Pure.

use polylog_crds::{
    event_store::{DeletionPolicy, EventStoreSpec, ProvisioningMode},
    manifests::ObjectKey,
    resolve::ResolvedStore,
    validate::{Capabilities, Finding, FindingCode, Kind, Severity, validate},
};

use super::{
    dereference::Dereferenced,
    refusal::{Reason, Refusal},
};

/// Conditions have no more room.
const LONGEST_MESSAGE: usize = 4096;

/// A store that can be served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Validated {
    pub(crate) store: ResolvedStore,
    /// What its author should know, one line each.
    pub(crate) warnings: Vec<String>,
}

/// The store with presets and defaults, if this version can serve it.
pub(crate) fn validated(key: &ObjectKey, found: &Dereferenced) -> Result<Validated, Refusal> {
    let capabilities = Capabilities::OPERATOR;
    let findings = validate(&found.manifests, &capabilities, &Default::default());
    let (refused, warned): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.severity == Severity::Refused);
    if let Some(first) = refused.first() {
        let lines: Vec<String> = refused.iter().map(|finding| told(key, finding)).collect();
        return Err(Refusal::new(Reason::Found(first.code), shortened(lines.join("\n"))));
    }
    if let Some(affinity) = found.manifests.stores.get(key).and_then(|store| affinity(&store.object.spec)) {
        return Err(affinity);
    }
    if let Some(deletion) = found.manifests.stores.get(key).and_then(|store| deletion(&store.object.spec)) {
        return Err(deletion);
    }
    let store = ResolvedStore::resolve(&found.manifests, key, capabilities.voters)
        .ok_or_else(|| Refusal::new(Reason::InvalidObject, "the EventStore has no usable name"))?;
    Ok(Validated { store, warnings: warned.into_iter().map(|finding| told(key, finding)).collect() })
}

/// The definition lets everything through where a pod's affinity stands.
fn affinity(spec: &EventStoreSpec) -> Option<Refusal> {
    let template = spec.gateway.as_ref()?.pod_template.as_ref()?;
    let given = serde_json::Value::Object(template.affinity.as_ref()?.0.clone());
    let error = serde_json::from_value::<k8s_openapi::api::core::v1::Affinity>(given).err()?;
    let message = format!("spec.gateway.podTemplate.affinity is none: {error}");
    Some(Refusal::new(Reason::Found(FindingCode::InvalidValue), message))
}

/// Whoever may not change a database cannot wipe it.
fn deletion(spec: &EventStoreSpec) -> Option<Refusal> {
    let mode = spec.provisioning.as_ref()?.mode.filter(|mode| *mode != ProvisioningMode::Apply)?;
    let message = format!(
        "spec.deletionPolicy: Delete needs provisioning.mode Apply: with {mode:?} the operator changes no database; set \
         Retain, and drop the tables yourself"
    );
    let is_asked = spec.deletion_policy == Some(DeletionPolicy::Delete);
    is_asked.then(|| Refusal::new(Reason::Found(FindingCode::InvalidValue), message))
}

/// The object is named only where it is another one.
fn told(key: &ObjectKey, finding: &Finding) -> String {
    if finding.kind == Kind::EventStore && finding.object == *key {
        format!("{}: {}", finding.path, finding.message)
    } else {
        finding.to_string()
    }
}

/// As much of a message as a condition holds.
pub(crate) fn shortened(message: String) -> String {
    if message.chars().count() <= LONGEST_MESSAGE {
        return message;
    }
    let mut short: String = message.chars().take(LONGEST_MESSAGE - 2).collect();
    short.push_str(" …");
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_store::testing;

    fn refusal(spec: &str) -> Refusal {
        let (key, found) = testing::dereferenced(spec);
        validated(&key, &found).expect_err("it cannot be served")
    }

    #[test]
    fn a_store_is_resolved_and_what_cannot_be_names_its_field() {
        let (key, found) = testing::dereferenced(testing::PAYMENTS);
        let validated = validated(&key, &found).expect("right");
        assert_eq!(validated.store.sources.len(), 1);
        assert!(validated.warnings.is_empty(), "{:?}", validated.warnings);
        let lanes = refusal(&format!("lanes: {{count: 2}}\n{}", testing::PAYMENTS));
        assert_eq!(lanes.reason.to_string(), "NotSupported");
        assert!(lanes.message.starts_with("spec.lanes.count: "), "{}", lanes.message);
        let strategy = refusal(&format!("strategyRef: {{name: nowhere}}\n{}", testing::PAYMENTS));
        assert_eq!(strategy.reason.to_string(), "InvalidReference");
        let copies =
            refusal(&testing::PAYMENTS.replace(
                "postgres: {schema: payments}",
                "role: Voter, elasticsearch: {index: {replicas: 1}}",
            ));
        assert!(copies.message.contains("elasticsearch.index.replicas"), "{}", copies.message);
        let external =
            format!("deletionPolicy: Delete\nprovisioning: {{mode: External}}\n{}", testing::PAYMENTS);
        assert!(refusal(&external).message.contains("set Retain"));
        let gateway = "gateway: {podTemplate: {affinity: {nodeAffinity: 3}}}";
        let affinity = refusal(&format!("{gateway}\n{}", testing::PAYMENTS));
        assert!(affinity.message.contains("affinity"), "{}", affinity.message);
    }

    #[test]
    fn a_message_has_room_in_a_condition() {
        assert_eq!(shortened("short".into()), "short");
        assert_eq!(shortened("ü".repeat(5000)).chars().count(), LONGEST_MESSAGE);
    }
}
