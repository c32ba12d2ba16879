//! An operator as the chart installed it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::{
        kubectl::{Kubectl, KubectlError, Scope},
        object::{list, text},
    },
    certificate,
    line::Line,
    namespace::Watched,
};

/// The kind by which somebody leads, and claims.
pub(super) const LEASES: &str = "leases.coordination.k8s.io";
const SELECTOR: &str = "--selector=app.kubernetes.io/name=polylog,app.kubernetes.io/component=operator";
/// A leader renews far more often, even one whose clock is a little behind.
const LATE_SECONDS: i64 = 60;
/// Renewal is at two thirds of a life; who sees less than this sees that it does not happen.
const SHORT_DAYS: i64 = 3;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One Deployment of an operator.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub(super) namespace: String,
    pub(super) name: String,
    deployment: Value,
    /// The variables of its container.
    variables: BTreeMap<String, String>,
}

type Found = Result<Vec<Installation>, KubectlError>;

/// Every operator; only that of one namespace, if it is named.
pub(super) fn ask(kubectl: &Kubectl, namespace: Option<&str>) -> Found {
    let scope = namespace.map_or(Scope::All, Scope::In);
    let found = kubectl.list("deployments.apps", &[SELECTOR], scope)?;
    Ok(found.into_iter().map(Installation::of).collect())
}

/// Before an installation: whether another one would share namespaces with it. Pure.
pub(super) fn alone(found: &Found) -> Line {
    const CHECK: &str = "operators";
    match found {
        Err(error) => Line::of_error(CHECK, error, "see the message"),
        Ok(installations) if installations.is_empty() => Line::passed(CHECK, "none"),
        Ok(installations) => {
            let fix = "upgrade that one, or give each its own watchNamespaces";
            let shown =
                |one: &Installation| format!("{}/{} looks after {}", one.namespace, one.name, one.watched());
            let seen: Vec<String> = installations.iter().map(shown).collect();
            Line::warning(CHECK, seen.join("; "), fix)
        }
    }
}

/// After it: that there is one, and that no two share a namespace. Pure.
pub(super) fn all(found: &Found) -> Vec<Line> {
    const CHECK: &str = "operators";
    let installations = match found {
        Ok(installations) => installations,
        Err(error) => {
            let mut line = Line::of_error(CHECK, error, "see the message");
            line.fix = line.fix.map(|_| "name the operator's namespace with --operator-namespace".to_owned());
            return vec![line];
        }
    };
    if installations.is_empty() {
        return vec![Line::failed(CHECK, "none is installed", "install the chart")];
    }
    let mut lines = vec![Line::passed(CHECK, format!("{} installed", installations.len()))];
    for (index, one) in installations.iter().enumerate() {
        for other in
            installations.iter().skip(index + 1).filter(|other| one.watched().overlaps(other.watched()))
        {
            let seen = format!(
                "{}/{} and {}/{} look after the same",
                one.namespace, one.name, other.namespace, other.name
            );
            let fix = "uninstall one of them, or give each its own watchNamespaces";
            lines.push(Line::failed("overlap", seen, fix));
        }
    }
    lines
}

impl Installation {
    pub(super) fn of(deployment: Value) -> Self {
        let container =
            &list(&deployment, "/spec/template/spec/containers").first().cloned().unwrap_or_default();
        let variable = |variable: &Value| {
            Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned()))
        };
        Self {
            namespace: text(&deployment, "/metadata/namespace").to_owned(),
            name: text(&deployment, "/metadata/name").to_owned(),
            variables: list(container, "/env").iter().filter_map(variable).collect(),
            deployment,
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The namespaces that it looks after.
    pub(super) fn watched(&self) -> Watched<'_> {
        Watched::of(&self.variables)
    }

    fn lease(&self) -> &str {
        self.variable("POLYLOG_LEASE").unwrap_or("polylog-operator")
    }

    /// As whom it claims namespaces.
    pub(super) fn claims_as(&self) -> String {
        format!("{}/{}", self.namespace, self.lease())
    }

    /// The user that it is for the API server.
    pub(super) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account())
    }

    pub(super) fn service_account(&self) -> &str {
        match text(&self.deployment, "/spec/template/spec/serviceAccountName") {
            "" => "default",
            name => name,
        }
    }

    /// Everything about it.
    pub(super) fn check(&self, kubectl: &Kubectl) -> Vec<Line> {
        let scope = Scope::In(&self.namespace);
        let mut lines = vec![self.deployment(), self.version()];
        lines.push(leader(&kubectl.get(LEASES, self.lease(), scope), Timestamp::now()));
        let Some(webhook) = self.variable("POLYLOG_WEBHOOK") else {
            let fix = "set webhook.enabled, or write sidecars into manifests with `kubectl polylog inject`";
            lines.push(Line::warning("webhook", "not part of this installation", fix));
            return lines;
        };
        let configuration =
            kubectl.get("mutatingwebhookconfigurations.admissionregistration.k8s.io", webhook, Scope::Given);
        lines.extend(trusted(&configuration, Timestamp::now()));
        let service = self.variable("POLYLOG_WEBHOOK_SERVICE").unwrap_or("polylog-webhook");
        let selector = format!("--selector=kubernetes.io/service-name={service}");
        lines.push(endpoints(&kubectl.list("endpointslices.discovery.k8s.io", &[&selector], scope)));
        let secret = self.variable("POLYLOG_WEBHOOK_SECRET").unwrap_or("polylog-webhook");
        lines.push(serving(&kubectl.get("secrets", secret, scope), Timestamp::now()));
        lines
    }

    fn deployment(&self) -> Line {
        const CHECK: &str = "Deployment";
        let count = |path: &str| self.deployment.pointer(path).and_then(Value::as_u64);
        let (wanted, ready) =
            (count("/spec/replicas").unwrap_or(1), count("/status/availableReplicas").unwrap_or(0));
        let seen = format!("{ready} of {wanted} available; looks after {}", self.watched());
        let of = format!("deployment/{} --namespace={}", self.name, self.namespace);
        match ready {
            0 => Line::failed(CHECK, seen, format!("kubectl describe {of}; kubectl logs {of}")),
            ready if ready < wanted => Line::warning(CHECK, seen, format!("kubectl describe {of}")),
            _ => Line::passed(CHECK, seen),
        }
    }

    fn version(&self) -> Line {
        match text(&self.deployment, "/metadata/labels/app.kubernetes.io~1version") {
            VERSION => Line::passed("version", VERSION),
            other => {
                let seen = format!("{other}, and this program is {VERSION}");
                Line::warning("version", seen, "use the kubectl-polylog of the operator's version")
            }
        }
    }
}

/// Whether somebody leads. Pure; `now` is this machine's clock.
fn leader(lease: &Result<Value, KubectlError>, now: Timestamp) -> Line {
    const CHECK: &str = "leader";
    const FIX: &str = "look at the operator's log: it says why it does not lead";
    let lease = match lease {
        Ok(lease) => lease,
        Err(KubectlError::NotFound(_)) => return Line::failed(CHECK, "nobody has led yet", FIX),
        Err(error) => return Line::of_error(CHECK, error, FIX),
    };
    let holder = text(lease, "/spec/holderIdentity");
    if holder.is_empty() {
        return Line::failed(CHECK, "nobody leads", FIX);
    }
    match text(lease, "/spec/renewTime").parse::<Timestamp>() {
        Ok(renewed) if now.as_second() - renewed.as_second() > LATE_SECONDS => {
            let seen = format!("{holder} led until {renewed}, by this machine's clock");
            Line::failed(CHECK, seen, FIX)
        }
        Ok(_) => Line::passed(CHECK, holder),
        Err(_) => Line::failed(CHECK, format!("{holder} has never renewed its lead"), FIX),
    }
}

/// Whether the API server calls the webhook, and whom it trusts there. Pure.
fn trusted(configuration: &Result<Value, KubectlError>, now: Timestamp) -> Vec<Line> {
    const CHECK: &str = "webhook";
    let configuration = match configuration {
        Ok(configuration) => configuration,
        Err(error) => {
            let fix = "helm upgrade makes it again; until then pods are made without a sidecar";
            return vec![Line::of_error(CHECK, error, fix)];
        }
    };
    list(configuration, "/webhooks")
        .iter()
        .map(|webhook| {
            let name = text(webhook, "/name");
            let policy = text(webhook, "/failurePolicy");
            let bundle = STANDARD.decode(text(webhook, "/clientConfig/caBundle")).unwrap_or_default();
            let ends = certificate::ends(&String::from_utf8_lossy(&bundle)).unwrap_or_default();
            match ends.iter().max() {
                None => {
                    let fix = "the operator fills it in: look at its log";
                    Line::failed(CHECK, format!("{name}: the API server trusts nobody there (caBundle)"), fix)
                }
                Some(end) => judged(CHECK, &format!("{name}, failurePolicy {policy}: authority"), *end, now),
            }
        })
        .collect()
}

/// Whether anybody answers behind the webhook's Service. Pure.
fn endpoints(slices: &Result<Vec<Value>, KubectlError>) -> Line {
    const CHECK: &str = "webhook's endpoints";
    const FIX: &str = "the operator's pods are not ready: look at them, and at their log";
    let slices = match slices {
        Ok(slices) => slices,
        Err(error) => return Line::of_error(CHECK, error, FIX),
    };
    // absent = ready
    let is_ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false));
    match slices.iter().flat_map(|slice| list(slice, "/endpoints")).filter(is_ready).count() {
        0 => Line::failed(CHECK, "nobody answers: no pod that wants a sidecar can be made", FIX),
        count => Line::passed(CHECK, format!("{count} ready")),
    }
}

/// Until when the certificate is good that the webhook shows. Pure.
fn serving(secret: &Result<Value, KubectlError>, now: Timestamp) -> Line {
    const CHECK: &str = "webhook's certificate";
    let secret = match secret {
        Ok(secret) => secret,
        Err(error) => return Line::of_error(CHECK, error, "helm upgrade makes the Secret again"),
    };
    let pem = STANDARD.decode(text(secret, "/data/tls.crt")).unwrap_or_default();
    match certificate::ends(&String::from_utf8_lossy(&pem)).unwrap_or_default().first() {
        None => Line::failed(CHECK, "there is none", "the operator makes it: look at its log"),
        Some(end) => judged(CHECK, "certificate", *end, now),
    }
}

fn judged(check: &str, what: &str, end: Timestamp, now: Timestamp) -> Line {
    const FIX: &str = "the operator renews it in time: look at its log";
    let days = (end.as_second() - now.as_second()).div_euclid(86400);
    let seen = format!("{what} good until {end} ({days} days)");
    if end <= now {
        Line::failed(check, format!("{what} ended {end}"), FIX)
    } else if days < SHORT_DAYS {
        Line::warning(check, seen, FIX)
    } else {
        Line::passed(check, seen)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operator(namespace: &str, watched: &str, available: u64) -> Installation {
        Installation::of(json!({
            "metadata": {
                "name": "polylog-operator", "namespace": namespace,
                "labels": { "app.kubernetes.io/version": VERSION },
            },
            "spec": {
                "replicas": 2,
                "template": { "spec": {
                    "serviceAccountName": "polylog-operator",
                    "containers": [{ "env": [
                        { "name": "POLYLOG_POD", "valueFrom": {} },
                        { "name": "POLYLOG_WATCH_NAMESPACES", "value": watched },
                    ] }],
                } },
            },
            "status": { "availableReplicas": available },
        }))
    }

    fn marks(lines: &[Line]) -> Vec<&'static str> {
        lines.iter().map(|line| line.outcome.mark()).collect()
    }

    #[test]
    fn two_operators_must_not_share_a_namespace() {
        let of = |watched: &[&str]| {
            let all: Vec<Installation> = watched.iter().map(|names| operator("ops", names, 2)).collect();
            marks(&super::all(&Ok(all)))
        };
        assert_eq!(of(&[]), ["FAILED"]);
        assert_eq!(of(&["shop", "reports,billing"]), ["ok"]);
        assert_eq!(of(&["shop,billing", "reports,billing"]), ["ok", "FAILED"]);
        assert_eq!(of(&["shop", ""]), ["ok", "FAILED"], "one looks after all");
        let unseen = super::all(&Err(KubectlError::Forbidden("no".into())));
        assert!(unseen[0].fix.as_ref().is_some_and(|fix| fix.contains("--operator-namespace")));
        assert_eq!(alone(&Ok(vec![])).outcome.mark(), "ok");
        assert!(alone(&Ok(vec![operator("ops", "", 2)])).seen.contains("all namespaces"));
    }

    #[test]
    fn an_operator_is_available_and_of_this_version() {
        let line = |available| operator("ops", "", available).deployment().outcome.mark();
        assert_eq!([line(0), line(1), line(2)], ["FAILED", "warning", "ok"]);
        let mut other = operator("ops", "shop", 2);
        assert_eq!(other.version().outcome.mark(), "ok");
        other.deployment["metadata"]["labels"] = json!({});
        assert_eq!(other.version().outcome.mark(), "warning");
        assert!(other.watched().has("shop", None) && !other.watched().has("reports", None));
        assert_eq!(other.user(), "system:serviceaccount:ops:polylog-operator");
    }

    #[test]
    fn a_leader_has_renewed_its_lease_lately() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let held = |holder: &str, renewed: &str| {
            let lease = json!({ "spec": { "holderIdentity": holder, "renewTime": renewed } });
            leader(&Ok(lease), now).outcome.mark()
        };
        assert_eq!(held("a", "2026-11-22T11:59:50.000000Z"), "ok");
        assert_eq!(held("a", "2026-11-22T11:58:50.000000Z"), "FAILED");
        assert_eq!(held("", "2026-11-22T11:59:50.000000Z"), "FAILED");
        assert_eq!(held("a", ""), "FAILED");
        assert_eq!(leader(&Err(KubectlError::NotFound("no".into())), now).outcome.mark(), "FAILED");
        assert_eq!(leader(&Err(KubectlError::Forbidden("no".into())), now).outcome.mark(), "unknown");
    }

    #[test]
    fn a_webhook_is_trusted_and_answers() {
        const PEM: &str = include_str!("certificates.pem");
        let configuration = |bundle: &str| {
            let bundle = STANDARD.encode(bundle);
            Ok(json!({ "webhooks": [{ "name": "inject", "clientConfig": { "caBundle": bundle } }] }))
        };
        let at = |time: &str| time.parse::<Timestamp>().expect("a time");
        let trust = |bundle: &str, time| marks(&trusted(&configuration(bundle), at(time)));
        assert_eq!(trust("", "2026-11-22T12:00:00Z"), ["FAILED"]);
        assert_eq!(trust(PEM, "2040-01-01T00:00:00Z"), ["ok"], "the longer of two counts");
        assert_eq!(trust(PEM, "2060-01-01T00:00:00Z"), ["FAILED"]);
        let end = at("2026-11-22T12:00:00Z");
        assert_eq!(judged("a", "it", end, at("2026-11-20T12:00:00Z")).outcome.mark(), "warning");
        assert_eq!(judged("a", "it", end, at("2026-11-19T11:00:00Z")).outcome.mark(), "ok");
        assert_eq!(judged("a", "it", end, end).outcome.mark(), "FAILED");
        let slice = |ready: Value| Ok(vec![json!({ "endpoints": [{ "conditions": { "ready": ready } }] })]);
        assert_eq!(endpoints(&slice(json!(true))).outcome.mark(), "ok");
        assert_eq!(endpoints(&slice(json!(false))).outcome.mark(), "FAILED");
        assert_eq!(endpoints(&Ok(vec![])).outcome.mark(), "FAILED");
        let secret = |data: Value| serving(&Ok(json!({ "data": data })), end).outcome.mark();
        assert_eq!(secret(json!({ "tls.crt": STANDARD.encode(PEM) })), "ok");
        assert_eq!(secret(Value::Null), "FAILED");
    }
}
