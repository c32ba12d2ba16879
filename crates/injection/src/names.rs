//! Names that pods carry, and where things are in them.

/// Label of a pod: the name of its EventStore. The one opt-in.
pub const STORE_LABEL: &str = "polylog.dev/eventstore";
/// Annotation of a pod: further stores, as `name` or `namespace/name`, separated by commas.
pub const MORE_STORES_ANNOTATION: &str = "polylog.dev/more-eventstores";
/// Annotation of a pod: ports of the API and of probes, separated by a comma, instead of the store's.
pub const PORTS_ANNOTATION: &str = "polylog.dev/ports";
/// Annotation that injection writes: a [`crate::Mark`].
pub const INJECTED_ANNOTATION: &str = "polylog.dev/injected";

/// The sidecar's container.
pub const CONTAINER: &str = "polylog";
/// The volume with its configuration.
pub const VOLUME: &str = "polylog";
/// The sidecar's port of probes and metrics, by name.
pub const METRICS_PORT: &str = "polylog-metrics";

/// Variable with the address of the HTTP interface, in every container.
pub const URL_VARIABLE: &str = "POLYLOG_URL";
/// Variable with the target of gRPC, in every container.
pub const GRPC_VARIABLE: &str = "POLYLOG_GRPC";

/// Where a process in a cluster finds its configuration.
pub const CONFIGURATION_FOLDER: &str = "/etc/polylog";
/// The folder in which it finds `token`, the pod's service account token. The volume is mounted here too, since a file
/// mounted alone (`subPath`) is never renewed.
pub const TOKEN_FOLDER: &str = "/var/run/polylog";
/// For whom the token is made out.
pub const TOKEN_AUDIENCE: &str = "polylog";
/// How long a token lasts, in seconds; the kubelet renews it at four fifths of that.
pub const TOKEN_SECONDS: u32 = 3600;

/// The ConfigMap that holds the manifests of a store for its processes: keys `eventstore.yaml`, `strategy.yaml`.
pub fn config_map(store: &str) -> String {
    format!("polylog-{store}")
}
