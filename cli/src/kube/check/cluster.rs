//! The cluster itself, and what a user may do in it.

use serde_json::Value;

use super::{
    super::{
        kubectl::{KubectlError, Right},
        object::text,
    },
    line::Line,
};

/// The lowest version that has what we use: containers that run beside a pod's others and end with them, as a rule.
const LOWEST: (u64, u64) = (1, 33);

/// The version of the API server. Pure.
pub(super) fn version(versions: &Result<Value, KubectlError>) -> Line {
    const CHECK: &str = "Kubernetes";
    let versions = match versions {
        Ok(versions) => versions,
        Err(error) => {
            let fix = "check --context and --kubeconfig, and that this machine reaches the API server";
            return Line::failed(CHECK, error.to_string(), fix);
        }
    };
    let number = |path: &str| {
        let digits: String = text(versions, path).chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap_or_default()
    };
    let found = (number("/serverVersion/major"), number("/serverVersion/minor"));
    let seen = text(versions, "/serverVersion/gitVersion");
    if found < LOWEST {
        let fix = format!("take Kubernetes {}.{} or a later one", LOWEST.0, LOWEST.1);
        return Line::failed(CHECK, format!("{seen} is too old"), fix);
    }
    Line::passed(CHECK, seen)
}

/// The namespace to install into. Pure.
pub(super) fn namespace(name: &str, found: Result<Value, KubectlError>) -> Line {
    const CHECK: &str = "namespace";
    match found {
        Ok(_) => Line::passed(CHECK, name),
        Err(KubectlError::NotFound(_)) => {
            let fix = format!("helm install … --namespace {name} --create-namespace");
            Line::warning(CHECK, format!("{name} is not there yet"), fix)
        }
        Err(error) => Line::of_error(CHECK, &error, "see the message"),
    }
}

/// What an installation by the chart makes.
const MADE: [(&str, &str, bool); 12] = [
    ("apiextensions.k8s.io", "customresourcedefinitions", false),
    ("rbac.authorization.k8s.io", "clusterroles", false),
    ("rbac.authorization.k8s.io", "clusterrolebindings", false),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", false),
    ("rbac.authorization.k8s.io", "roles", true),
    ("rbac.authorization.k8s.io", "rolebindings", true),
    ("apps", "deployments", true),
    ("policy", "poddisruptionbudgets", true),
    ("", "services", true),
    ("", "serviceaccounts", true),
    // Helm keeps what it knows of a release in them
    ("", "secrets", true),
    ("", "pods", true),
];

/// Whether the user may make each of it.
pub(super) fn rights(namespace: &str, may: impl Fn(&Right<'_>) -> Result<bool, KubectlError>) -> Vec<Line> {
    let line = |(group, resource, is_namespaced): &(&str, &str, bool)| {
        let namespace = if *is_namespaced { namespace } else { "" };
        let right = Right { verb: "create", group, resource, namespace, name: "" };
        let check = format!("create {resource}");
        match may(&right) {
            Ok(true) => Line::passed("right", check),
            Ok(false) if *is_namespaced => Line::failed(
                "right",
                format!("you may not {check}"),
                "have it granted, or choose another --namespace",
            ),
            Ok(false) => Line::failed(
                "right",
                format!("you may not {check}"),
                "have an administrator install, or make the kinds and roles and set watchNamespaces",
            ),
            Err(error) => Line::of_error("right", &error, "see the message"),
        }
    };
    MADE.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_numbers_whatever_a_vendor_appends() {
        let of = |major: &str, minor: &str| {
            version(&Ok(json!({ "serverVersion": { "major": major, "minor": minor, "gitVersion": "v1" } })))
        };
        assert!(!of("1", "33").has_failed());
        assert!(!of("1", "34+").has_failed());
        assert!(of("1", "32").has_failed());
        assert!(of("1", "9").has_failed());
        assert!(of("", "").has_failed(), "what does not say it is not trusted");
        assert!(version(&Err(KubectlError::Unreachable("no route".into()))).has_failed());
    }

    #[test]
    fn a_right_that_is_missing_fails() {
        let lines = rights("ops", |right| Ok(right.resource != "clusterroles" || right.namespace == "ops"));
        let failed: Vec<&Line> = lines.iter().filter(|line| line.has_failed()).collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert!(failed[0].seen.contains("clusterroles"));
    }
}
