use std::{collections::BTreeMap, sync::Arc};

use polylog_crds::{
    CaRefKind,
    event_store::{Connection, Delivery, EventStoreSpec, Resources},
    manifests::ObjectKey,
};

use crate::{names, request::Ports};

/// What a pod has to know of a store. No credential is in it, only where one stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub(crate) ports: Ports,
    pub(crate) resources: Option<Resources>,
    /// Below the store's folder.
    pub(crate) files: Vec<File>,
    /// Who vouches for its gateway, in PEM, once it has one.
    pub(crate) authority: Option<Arc<str>>,
}

/// A key of an object of the store's namespace, and the file as which a pod sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct File {
    /// The object.
    pub object: Object,
    /// Its key.
    pub key: String,
    /// Below the store's folder.
    pub path: String,
}

/// An object whose keys are mounted, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A ConfigMap.
    ConfigMap(String),
    /// A Secret.
    Secret(String),
}

impl Store {
    /// What pods have to know of the store with this name and specification.
    pub fn new(name: &str, spec: &EventStoreSpec) -> Self {
        let mut store = Self::unknown(name);
        let sidecar = spec.sidecar.as_ref();
        let Ports { api, probes } = Ports::default();
        store.ports = Ports {
            api: sidecar.and_then(|sidecar| sidecar.api_port).unwrap_or(api),
            probes: sidecar.and_then(|sidecar| sidecar.health_port).unwrap_or(probes),
        };
        store.resources = sidecar.and_then(|sidecar| sidecar.resources.clone());
        // what goes through the gateway needs no credential in the pod
        if spec.delivery != Some(Delivery::Gateway) {
            for source in &spec.sources {
                store.files.extend(connection_files(source.name.as_str(), &source.connection));
            }
        }
        store
    }

    /// The same, with who vouches for its gateway (`status.gatewayAuthority`).
    #[must_use]
    pub fn with_authority(self, authority: Option<&str>) -> Self {
        Self { authority: authority.map(Arc::from), ..self }
    }

    /// A store that is not there (yet): its ConfigMap's name is known, its Secrets' are not.
    pub(crate) fn unknown(name: &str) -> Self {
        let manifest = |key: &str| File {
            object: Object::ConfigMap(names::config_map(name)),
            key: key.to_owned(),
            path: format!("store/{key}"),
        };
        Self {
            ports: Ports::default(),
            resources: None,
            files: vec![
                manifest("eventstore.yaml"),
                manifest("strategy.yaml"),
                manifest(names::GATEWAY_ADDRESS),
                manifest(names::GATEWAY_AUTHORITY),
            ],
            authority: None,
        }
    }
}

/// Where the credentials of a connection stand. Not those of the provisioning connection, which no pod may have.
pub fn connection_files(source: &str, connection: &Connection) -> Vec<File> {
    let mut files = Vec::new();
    let mut add = |object: Object, key: &str, file: &str| {
        files.push(File { object, key: key.to_owned(), path: format!("sources/{source}/{file}") });
    };
    let secret = |name: &polylog_crds::values::ObjectName| Object::Secret(name.as_str().to_owned());
    if let Some(reference) = &connection.secret_ref {
        let key = reference.key.as_ref().map_or("url", |key| key.as_str());
        add(secret(&reference.name), key, "url");
    }
    if let Some(auth) = &connection.auth {
        let object = secret(&auth.secret_ref.name);
        match &auth.api_key_key {
            Some(key) => add(object, key.as_str(), "api-key"),
            None => {
                let user = auth.username_key.as_ref().map_or("username", |key| key.as_str());
                let password = auth.password_key.as_ref().map_or("password", |key| key.as_str());
                add(object.clone(), user, "username");
                add(object, password, "password");
            }
        }
    }
    let tls = connection.tls.as_ref();
    if let Some(ca) = tls.and_then(|tls| tls.ca_ref.as_ref()) {
        let object = match ca.kind {
            Some(CaRefKind::Secret) => secret(&ca.name),
            Some(CaRefKind::ConfigMap) | None => Object::ConfigMap(ca.name.as_str().to_owned()),
        };
        add(object, ca.key.as_ref().map_or("ca.crt", |key| key.as_str()), "ca.crt");
    }
    if let Some(certificate) = tls.and_then(|tls| tls.client_cert_ref.as_ref()) {
        add(secret(&certificate.name), "tls.crt", "tls.crt");
        add(secret(&certificate.name), "tls.key", "tls.key");
    }
    files
}

/// The stores that are known, by namespace and name. Cheap to copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stores(BTreeMap<ObjectKey, Arc<Store>>);

impl Stores {
    /// The store, if it is known.
    pub fn get(&self, key: &ObjectKey) -> Option<&Store> {
        self.0.get(key).map(AsRef::as_ref)
    }

    /// Adds a store, or replaces it.
    pub fn insert(&mut self, key: ObjectKey, store: Store) {
        self.0.insert(key, Arc::new(store));
    }
}

impl FromIterator<(ObjectKey, Store)> for Stores {
    fn from_iter<T: IntoIterator<Item = (ObjectKey, Store)>>(stores: T) -> Self {
        Self(stores.into_iter().map(|(key, store)| (key, Arc::new(store))).collect())
    }
}

impl FromIterator<(ObjectKey, Arc<Store>)> for Stores {
    fn from_iter<T: IntoIterator<Item = (ObjectKey, Arc<Store>)>>(stores: T) -> Self {
        Self(stores.into_iter().collect())
    }
}
