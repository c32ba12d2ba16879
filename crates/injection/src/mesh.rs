use serde_json::Value;

use crate::container::name;

/// Init containers and native sidecars of service meshes: the sidecar comes after them, so that its connections to
/// databases go the way that the mesh lays.
const MESHES: [&str; 12] = [
    "istio-init",
    "istio-validation",
    "istio-proxy",
    "linkerd-init",
    "linkerd-network-validator",
    "linkerd-proxy",
    "kuma-init",
    "kuma-validation",
    "kuma-sidecar",
    "consul-connect-inject-init",
    "consul-dataplane",
    "osm-init",
];

/// Where among these init containers the sidecar belongs: after the last one of a mesh, before all others.
pub(crate) fn place(init_containers: &[Value]) -> usize {
    let last = init_containers.iter().rposition(|container| MESHES.contains(&name(container)));
    last.map_or(0, |last| last + 1)
}
