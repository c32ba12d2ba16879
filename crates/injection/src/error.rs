use polylog_crds::manifests::ObjectKey;

use crate::names::{
    CONTAINER, INJECTED_ANNOTATION, MORE_STORES_ANNOTATION, PORTS_ANNOTATION, STORE_LABEL, VOLUME,
};

/// Why a pod cannot have a sidecar. Nothing was changed; the author of the pod has to change what the message names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectionError {
    /// Correct the label.
    #[error("label {STORE_LABEL} {0:?} is no name of an EventStore")]
    StoreName(String),
    /// Correct the annotation.
    #[error(
        "annotation {MORE_STORES_ANNOTATION} {0:?}: write names of EventStores, as name or namespace/name, separated by commas"
    )]
    MoreStores(String),
    /// Name each store once.
    #[error("annotation {MORE_STORES_ANNOTATION} names the EventStore {0} twice, or it is the pod's own")]
    Repeated(ObjectKey),
    /// Correct the annotation.
    #[error(
        "annotation {PORTS_ANNOTATION} {0:?}: write two different ports, of the API and of probes, as \"7400,7401\""
    )]
    Ports(String),
    /// Choose ports that are free on the node, or do without the host's network.
    #[error(
        "the pod is on the host's network, where everything on the node can reach its sidecar and other pods may use its \
         ports: accept that by choosing ports with the annotation {PORTS_ANNOTATION}: \"7400,7401\""
    )]
    HostNetwork,
    /// Choose other ports.
    #[error(
        "container {container} declares port {port}, which the sidecar needs: choose others with the annotation \
         {PORTS_ANNOTATION}: \"7400,7401\""
    )]
    PortTaken {
        /// Who declares it.
        container: String,
        /// Which.
        port: u16,
    },
    /// Rename what stands in the way.
    #[error(
        "the pod has a container {CONTAINER} that injection did not write (there is no annotation {INJECTED_ANNOTATION}); rename it"
    )]
    ContainerTaken,
    /// Rename what stands in the way.
    #[error(
        "the pod has a volume {VOLUME} that injection did not write (there is no annotation {INJECTED_ANNOTATION}); rename it"
    )]
    VolumeTaken,
    /// Do without the label.
    #[error("the pod is for Windows, for which there is no sidecar; remove the label {STORE_LABEL}")]
    Windows,
    /// Correct the pod; Kubernetes would refuse it too.
    #[error("this is no pod: {0}")]
    NoPod(&'static str),
}
