//! Names that the operator gives, and those that users write.

use polylog_crds::manifests::ObjectKey;

/// Label of everything that the operator makes.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "polylog-operator");
/// Selects what carries [`MANAGED_BY`].
pub(crate) const MANAGED: &str = "app.kubernetes.io/managed-by=polylog-operator";
/// Label of a store's gateway. Not the pods' own opt-in, which would give the gateway a sidecar.
pub(crate) const GATEWAY: (&str, &str) = ("app.kubernetes.io/name", "polylog-gateway");
/// Label with the name of the store that something belongs to.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";
/// Annotation that approves a plan, by its hash.
pub(crate) const APPROVE_PLAN: &str = "polylog.dev/approve-plan";
/// Annotation that lets a deleted EventStore go before its databases are wiped.
pub(crate) const FORCE_DELETE: &str = "polylog.dev/force-delete";
/// Keeps a deleted EventStore until its databases are wiped.
pub(crate) const FINALIZER: &str = "polylog.dev/wipe";
/// Annotation with the form of what a ConfigMap holds: the one that this version's sidecars read.
pub(crate) const FORMAT: (&str, &str) =
    (polylog_sidecar::config::MANIFEST_FORMAT_ANNOTATION, polylog_sidecar::config::MANIFEST_FORMAT);

/// Port of the gateway's API.
pub(crate) const API_PORT: u16 = polylog_injection::names::GATEWAY_PORT;
/// Port of its probes and metrics.
pub(crate) const HEALTH_PORT: u16 = 7301;

/// What belongs to a store is called so; for whom its ConfigMap is read too.
pub(crate) fn of_store(key: &ObjectKey) -> String {
    format!("polylog-{}", key.name)
}

/// The ConfigMap with the store's plan.
pub(crate) fn of_plan(key: &ObjectKey) -> String {
    format!("polylog-{}-plan", key.name)
}
