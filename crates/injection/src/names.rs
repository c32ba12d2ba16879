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

/// Variable of the sidecar: where the gateways of stores of other namespaces are, as a JSON list.
pub const GATEWAYS_VARIABLE: &str = "POLYLOG_GATEWAYS";
/// Port of a gateway.
pub const GATEWAY_PORT: u16 = 7300;

/// Where a process in a cluster finds its configuration.
pub const CONFIGURATION_FOLDER: &str = "/etc/polylog";
/// The folder in which it finds `token`, the pod's service account token. The volume is mounted here too, since a file
/// mounted alone (`subPath`) is never renewed.
pub const TOKEN_FOLDER: &str = "/var/run/polylog";
/// For whom the token is made out.
pub const TOKEN_AUDIENCE: &str = "polylog";
/// How long a token lasts, in seconds; the kubelet renews it at four fifths of that.
pub const TOKEN_SECONDS: u32 = 3600;

/// The ConfigMap that holds the manifests of a store for its processes (keys `eventstore.yaml`, `strategy.yaml`), and where
/// its gateway is ([`GATEWAY_ADDRESS`], [`GATEWAY_AUTHORITY`]).
pub fn config_map(store: &str) -> String {
    format!("polylog-{store}")
}

/// Key of that ConfigMap: `host:port` of the gateway.
pub const GATEWAY_ADDRESS: &str = "gateway-address";
/// Key of that ConfigMap: certificates, in PEM, of who vouches for the gateway.
pub const GATEWAY_AUTHORITY: &str = "gateway-ca.crt";

/// `host:port` of the gateway of a store.
pub fn gateway(namespace: &str, store: &str) -> String {
    format!("polylog-{store}.{namespace}.svc:{GATEWAY_PORT}")
}
