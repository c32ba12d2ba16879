use polylog_crds::{
    manifests::ObjectKey,
    values::{NamespaceName, ObjectName},
};
use serde_json::Value;

use crate::{
    InjectionError,
    names::{MORE_STORES_ANNOTATION, PORTS_ANNOTATION, STORE_LABEL},
};

/// What a pod asks for by its labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its store.
    pub own: ObjectKey,
    /// Stores of the same namespace beside it.
    pub further: Vec<ObjectKey>,
    /// Stores of other namespaces, which are reached through their gateways.
    pub elsewhere: Vec<ObjectKey>,
    /// Ports that it chose.
    pub ports: Option<Ports>,
}

/// Ports of a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The API, on loopback.
    pub api: u16,
    /// Probes and metrics, on the pod's address.
    pub probes: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { api: 7300, probes: 7301 }
    }
}

impl Request {
    /// What a pod of this namespace asks for by its `metadata`; `None` where it does not want a sidecar.
    ///
    /// # Errors
    /// A label or an annotation that means nothing, or what this version cannot do.
    pub fn read(namespace: &NamespaceName, metadata: &Value) -> Result<Option<Self>, InjectionError> {
        let Some(label) = text(metadata, "labels", STORE_LABEL) else { return Ok(None) };
        let own = key(namespace, label).ok_or_else(|| InjectionError::StoreName(label.to_owned()))?;
        let more = match text(metadata, "annotations", MORE_STORES_ANNOTATION) {
            None => Vec::new(),
            Some(list) => more(&own, list)?,
        };
        let (further, elsewhere) = more.into_iter().partition(|store| store.namespace == own.namespace);
        let ports = match text(metadata, "annotations", PORTS_ANNOTATION) {
            None => None,
            Some(text) => Some(ports(text).ok_or_else(|| InjectionError::Ports(text.to_owned()))?),
        };
        Ok(Some(Self { own, further, elsewhere, ports }))
    }
}

/// A label or an annotation.
pub(crate) fn text<'a>(metadata: &'a Value, group: &str, name: &str) -> Option<&'a str> {
    metadata.get(group)?.get(name)?.as_str()
}

fn key(namespace: &NamespaceName, name: &str) -> Option<ObjectKey> {
    Some(ObjectKey { namespace: namespace.clone(), name: name.parse::<ObjectName>().ok()? })
}

fn more(own: &ObjectKey, list: &str) -> Result<Vec<ObjectKey>, InjectionError> {
    let mut found: Vec<ObjectKey> = Vec::new();
    for item in list.split(',').map(str::trim) {
        let invalid = || InjectionError::MoreStores(list.to_owned());
        let store = match item.split_once('/') {
            None => key(&own.namespace, item),
            Some((namespace, name)) => namespace.parse().ok().and_then(|namespace| key(&namespace, name)),
        };
        let store = store.ok_or_else(invalid)?;
        if store == *own || found.contains(&store) {
            return Err(InjectionError::Repeated(store));
        }
        found.push(store);
    }
    Ok(found)
}

fn ports(text: &str) -> Option<Ports> {
    let (api, probes) = text.split_once(',')?;
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    let ports = Ports { api: port(api)?, probes: port(probes)? };
    (ports.api != ports.probes).then_some(ports)
}
