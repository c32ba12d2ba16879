//! A namespace with EventStores: who looks after it.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::{kubectl::KubectlError, object::text},
    installation::Installation,
    line::Line,
};

/// Label of a namespace that is looked after, where labels decide.
const LABEL: &str = "polylog.dev/enabled";
/// The Lease by which an installation claims a namespace.
pub(super) const LEASE: &str = "polylog-installation";

/// The namespaces that an installation is told to look after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched<'a> {
    All,
    /// Those with the label.
    Labelled,
    /// Those of this list, with commas.
    Listed(&'a str),
}

impl<'a> Watched<'a> {
    /// As the variables of an operator's container say it.
    pub(super) fn of(variables: &'a BTreeMap<String, String>) -> Self {
        let variable = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        match (variable("POLYLOG_WATCH_NAMESPACES"), variable("POLYLOG_WATCH_LABELLED")) {
            (Some(names), _) => Self::Listed(names),
            (None, Some("true")) => Self::Labelled,
            (None, _) => Self::All,
        }
    }

    fn lists(names: &str, namespace: &str) -> bool {
        names.split(',').any(|name| name == namespace)
    }

    /// Whether this namespace is one of them; `is_labelled` = it has the label, where that is known.
    pub(super) fn has(self, namespace: &str, is_labelled: Option<bool>) -> bool {
        match self {
            Self::All => true,
            // what may not be seen is not held against it
            Self::Labelled => is_labelled.unwrap_or(true),
            Self::Listed(names) => Self::lists(names, namespace),
        }
    }

    /// Whether two are sure to look after the same. A list and labels meet only in a listed namespace with the label, where
    /// the claim says who it is.
    pub(super) fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::All) | (Self::Labelled, Self::Labelled) => true,
            (Self::Labelled, _) | (_, Self::Labelled) => false,
            (Self::Listed(one), Self::Listed(two)) => one.split(',').any(|name| Self::lists(two, name)),
        }
    }
}

impl fmt::Display for Watched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all namespaces"),
            Self::Labelled => write!(f, "namespaces with the label {LABEL}"),
            Self::Listed(names) => f.write_str(&names.replace(',', ", ")),
        }
    }
}

/// Whether a namespace has the label that counts. Pure.
pub(super) fn is_labelled(namespace: &Value) -> bool {
    namespace
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get(LABEL)?.as_str())
        .is_some_and(|value| value != "false")
}

/// That somebody looks after the namespace. Pure.
pub(super) fn watched(namespace: &str, installations: &[Installation], is_any: bool) -> Option<Line> {
    if is_any || installations.is_empty() {
        return None;
    }
    let are_labelled = installations.iter().any(|one| one.watched() == Watched::Labelled);
    let fix = if are_labelled {
        format!("kubectl label namespace {namespace} {LABEL}=true")
    } else {
        "add it to watchNamespaces".to_owned()
    };
    Some(Line::failed("operator", "none looks after this namespace", fix))
}

/// Whether the one that claimed a namespace is one that is told to look after it. Pure; `now` is this machine's clock.
pub(super) fn claimed(
    namespace: &str,
    lease: &Result<Value, KubectlError>,
    watching: &[&Installation],
    now: Timestamp,
) -> Line {
    const CHECK: &str = "claim";
    const LOG: &str = "the operator renews its claims: look at its log";
    let lease = match lease {
        Ok(lease) => lease,
        Err(KubectlError::NotFound(_)) => {
            return Line::warning(CHECK, "no installation has claimed the namespace yet", LOG);
        }
        Err(error) => return Line::of_error(CHECK, error, LOG),
    };
    let holder = text(lease, "/spec/holderIdentity");
    if holder.is_empty() {
        return Line::warning(CHECK, "it was given up, and no installation has claimed it since", LOG);
    }
    if !watching.iter().any(|one| one.claims_as() == holder) {
        let fix = format!(
            "change watchNamespaces of one; if {holder} is gone: kubectl delete lease {LEASE} --namespace={namespace}"
        );
        let seen = format!("{holder} has claimed the namespace: the others leave it alone");
        return Line::failed(CHECK, seen, fix);
    }
    let lasts = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64).unwrap_or_default();
    match text(lease, "/spec/renewTime").parse::<Timestamp>() {
        Ok(renewed) if now.as_second() - renewed.as_second() <= lasts => Line::passed(CHECK, holder),
        Ok(renewed) => {
            let seen = format!("{holder} claimed it last {renewed}, for {lasts} s, by this machine's clock");
            Line::failed(CHECK, seen, LOG)
        }
        Err(_) => Line::failed(CHECK, format!("{holder} has never renewed its claim"), LOG),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn installation(namespace: &str, variables: Value) -> Installation {
        Installation::of(json!({
            "metadata": { "name": "polylog-operator", "namespace": namespace },
            "spec": { "template": { "spec": { "containers": [{ "env": variables }] } } },
        }))
    }

    fn labelled(namespace: &str) -> Installation {
        installation(namespace, json!([{ "name": "POLYLOG_WATCH_LABELLED", "value": "true" }]))
    }

    #[test]
    fn labels_decide_unless_they_say_no() {
        let namespace = |labels: Value| is_labelled(&json!({ "metadata": { "labels": labels } }));
        assert!(namespace(json!({ LABEL: "true" })) && namespace(json!({ LABEL: "" })));
        assert!(!namespace(json!({ LABEL: "false" })) && !namespace(json!({ "other": "true" })));
        assert!(!is_labelled(&json!({ "metadata": {} })));
        let one = labelled("ops");
        assert_eq!(one.watched().to_string(), "namespaces with the label polylog.dev/enabled");
        assert!(one.watched().has("shop", Some(true)) && !one.watched().has("shop", Some(false)));
        assert!(one.watched().has("shop", None), "it may not be seen");
        let fix = watched("shop", std::slice::from_ref(&one), false).and_then(|line| line.fix);
        assert_eq!(fix.as_deref(), Some("kubectl label namespace shop polylog.dev/enabled=true"));
        assert_eq!(watched("shop", &[one], true), None);
    }

    #[test]
    fn two_that_go_by_labels_share_namespaces_and_a_list_may_stand_beside_labels() {
        let listed = Watched::Listed("shop,billing");
        assert!(Watched::Labelled.overlaps(Watched::Labelled) && Watched::Labelled.overlaps(Watched::All));
        assert!(!Watched::Labelled.overlaps(listed) && !listed.overlaps(Watched::Labelled));
        assert!(listed.overlaps(Watched::Listed("reports,billing")));
        assert!(!listed.overlaps(Watched::Listed("reports,bill")));
    }

    #[test]
    fn a_claim_is_of_one_that_looks_after_the_namespace_and_is_renewed() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let one = labelled("ops");
        let said = |holder: &str, renewed: &str| {
            let spec = json!({ "holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 540 });
            claimed("shop", &Ok(json!({ "spec": spec })), &[&one], now)
        };
        let mark = |holder: &str, renewed: &str| said(holder, renewed).outcome.mark();
        let fresh = "2026-11-22T11:55:00.000000Z";
        assert_eq!(mark("ops/polylog-operator", fresh), "ok");
        assert_eq!(mark("ops/polylog-operator", "2026-11-22T11:50:00.000000Z"), "FAILED");
        assert_eq!(mark("ops/polylog-operator", ""), "FAILED");
        assert_eq!(mark("", fresh), "warning");
        let other = said("other/polylog-operator", fresh);
        assert_eq!(other.outcome.mark(), "FAILED");
        let fix = other.fix.unwrap_or_default();
        assert!(fix.contains("kubectl delete lease polylog-installation --namespace=shop"), "{fix}");
        let without = |error| claimed("shop", &Err(error), &[&one], now).outcome.mark();
        assert_eq!(without(KubectlError::NotFound("no".into())), "warning");
        assert_eq!(without(KubectlError::Forbidden("no".into())), "unknown");
    }
}
