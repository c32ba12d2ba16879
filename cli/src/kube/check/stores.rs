//! EventStores, and what the operator may do for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::{
        advice::{is_obstacle, steps},
        kubectl::{EVENT_STORES, Kubectl, KubectlError, Right, Scope},
        object::{Store, list, text},
    },
    Section,
    installation::{Installation, LEASES},
    line::Line,
    namespace::{self, Watched},
};

/// Looks at every store, and at the namespaces they are in.
pub(super) fn check(
    kubectl: &Kubectl,
    scope: Scope<'_>,
    installations: &[Installation],
    sections: &mut Vec<Section>,
) {
    let stores: Vec<Store> = match kubectl.list(EVENT_STORES, &[], scope) {
        Ok(stores) => stores.into_iter().map(Store).collect(),
        Err(error) => {
            let lines = vec![Line::of_error("EventStores", &error, "see the message")];
            sections.push(Section { title: "EventStores".into(), lines });
            return;
        }
    };
    if stores.is_empty() {
        let lines = vec![Line::passed("EventStores", "none here; -A looks into all namespaces")];
        sections.push(Section { title: "EventStores".into(), lines });
        return;
    }
    let mut namespaces: BTreeMap<&str, bool> = BTreeMap::new();
    for store in &stores {
        *namespaces.entry(store.namespace()).or_default() |= needs_secrets(store);
    }
    let are_labelled = installations.iter().any(|one| one.watched() == Watched::Labelled);
    for (name, needs_secrets) in namespaces {
        let has_label = are_labelled
            .then(|| kubectl.get("namespaces", name, Scope::Given).ok())
            .flatten()
            .map(|found| namespace::is_labelled(&found));
        let watching: Vec<&Installation> =
            installations.iter().filter(|one| one.watched().has(name, has_label)).collect();
        let mut lines: Vec<Line> =
            namespace::watched(name, installations, !watching.is_empty()).into_iter().collect();
        if !watching.is_empty() {
            let lease = kubectl.get(LEASES, namespace::LEASE, Scope::In(name));
            lines.push(namespace::claimed(name, &lease, &watching, Timestamp::now()));
        }
        for operator in watching.into_iter().filter(|_| needs_secrets) {
            let right = Right { verb: "get", group: "", resource: "secrets", namespace: name, name: "" };
            lines.push(secrets(operator, name, &kubectl.may(&right, Some(&operator.user()))));
        }
        if !lines.is_empty() {
            sections.push(Section { title: format!("namespace {name}"), lines });
        }
    }
    for store in &stores {
        let title = format!("EventStore {}/{}", store.namespace(), store.name());
        sections.push(Section { title, lines: conditions(store, &kubectl.shown_flags()) });
    }
}

/// Whether the operator reads Secrets for it.
fn needs_secrets(store: &Store) -> bool {
    let connections = ["/connection", "/provisioningConnection"];
    let has_secret = |source: &Value| {
        let refs = ["/secretRef", "/auth/secretRef", "/tls/clientCertRef"];
        let mut paths = connections.iter().flat_map(|at| refs.iter().map(move |of| format!("{at}{of}")));
        paths.any(|path| source.pointer(&path).is_some())
    };
    store.provisioning_mode() != "External" && list(&store.0, "/spec/sources").iter().any(has_secret)
}

/// Whether the operator may read the Secrets of a namespace. Pure.
fn secrets(operator: &Installation, namespace: &str, may: &Result<bool, KubectlError>) -> Line {
    const CHECK: &str = "Secrets";
    let fix = format!(
        "kubectl create rolebinding polylog-secret-reader --namespace={namespace} --clusterrole=polylog-secret-reader \
         --serviceaccount={}:{}",
        operator.namespace,
        operator.service_account()
    );
    match may {
        Ok(true) => Line::passed(CHECK, format!("{}/{} may read them", operator.namespace, operator.name)),
        Ok(false) => {
            Line::failed(CHECK, format!("{}/{} may not read them", operator.namespace, operator.name), fix)
        }
        Err(error) => Line::of_error(CHECK, error, &fix),
    }
}

/// A line for each condition that is an obstacle, and one where none is. Pure.
fn conditions(store: &Store, flags: &str) -> Vec<Line> {
    let todo = steps(store, flags);
    let fix = match &todo[..] {
        [] => "see the message; it is tried again by itself".to_owned(),
        steps => steps.join("; "),
    };
    if !store.is_observed() {
        return vec![Line::failed("status", "no operator has looked at its last change", fix)];
    }
    let mut lines: Vec<Line> = store
        .conditions()
        .filter(is_obstacle)
        .map(|condition| {
            let seen = format!("{} {}: {}", condition.status, condition.reason, condition.message);
            let seen = seen.trim_end_matches([':', ' ']);
            // what works all the same, and what is news
            let is_mild = ["SidecarsCurrent", "ApprovalRequired", "Reconciling"].contains(&condition.type_)
                || condition.reason == "ApprovalRequired";
            match (condition.status, is_mild) {
                ("Unknown", _) | (_, true) => Line::warning(condition.type_, seen, fix.as_str()),
                _ => Line::failed(condition.type_, seen, fix.as_str()),
            }
        })
        .collect();
    // the same step under each line would hide the lines
    let mut told: Vec<String> = Vec::new();
    for line in &mut lines {
        match line.fix.take() {
            Some(fix) if !told.contains(&fix) => {
                told.push(fix.clone());
                line.fix = Some(fix);
            }
            _ => {}
        }
    }
    if lines.is_empty() {
        lines.push(Line::passed("Ready", store.says("Ready")));
    }
    let pods = text(&store.0, "/status/summary/pods");
    if lines.iter().all(|line| line.check != "SidecarsCurrent") && !pods.is_empty() {
        lines.push(Line::passed("sidecars", format!("{pods} pods have the current one")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store(conditions: Value) -> Store {
        Store(json!({
            "metadata": { "name": "payments", "namespace": "shop", "generation": 1 },
            "spec": { "sources": [{ "connection": { "secretRef": { "name": "db" } } }] },
            "status": { "observedGeneration": 1, "summary": { "pods": "2/2" }, "conditions": conditions },
        }))
    }

    fn marks(store: &Store) -> Vec<(String, &'static str)> {
        conditions(store, "").into_iter().map(|line| (line.check, line.outcome.mark())).collect()
    }

    #[test]
    fn a_store_that_works_passes_and_one_that_does_not_fails_with_its_step() {
        let ready = json!([
            { "type": "Ready", "status": "True", "reason": "InSync" },
            { "type": "Consistent", "status": "Unknown", "reason": "NotInThisVersion" },
        ]);
        assert_eq!(marks(&store(ready)), [("Ready".into(), "ok"), ("sidecars".into(), "ok")]);
        let waiting = store(json!([
            { "type": "Ready", "status": "False", "reason": "ApprovalRequired" },
            { "type": "ApprovalRequired", "status": "True", "reason": "PlanWaits" },
            { "type": "SidecarsCurrent", "status": "False", "reason": "RestartNeeded" },
        ]));
        assert!(marks(&waiting).iter().all(|(_, mark)| *mark == "warning"), "{:?}", marks(&waiting));
        let broken = store(json!([
            { "type": "Ready", "status": "False", "reason": "SecretNotFound" },
            { "type": "Valid", "status": "False", "reason": "SecretNotFound", "message": "no Secret db" },
        ]));
        assert_eq!(marks(&broken)[..2], [("Ready".into(), "FAILED"), ("Valid".into(), "FAILED")]);
        let fixes = conditions(&broken, "").iter().filter(|line| line.fix.is_some()).count();
        assert_eq!(fixes, 1, "once");
        let mut unseen = store(json!([]));
        unseen.0["metadata"]["generation"] = 2.into();
        assert_eq!(marks(&unseen), [("status".into(), "FAILED")]);
    }

    #[test]
    fn secrets_are_needed_unless_somebody_else_provisions() {
        let mut store = store(json!([]));
        assert!(needs_secrets(&store));
        store.0["spec"]["provisioning"] = json!({ "mode": "External" });
        assert!(!needs_secrets(&store));
        store.0["spec"] = json!({ "sources": [{ "connection": { "url": "postgres://db/shop" } }] });
        assert!(!needs_secrets(&store));
    }
}
