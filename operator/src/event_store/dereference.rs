//! What an EventStore refers to, read from the cluster. Secrets are read by name, and only here.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};
use polylog_crds::{
    CaRefKind, EventStore, ReplicationStrategy,
    event_store::{Connection, ProvisioningMode},
    manifests::{ConfigMapData, Loaded, Manifests, ObjectKey, SecretData},
    values::{DataKey, NamespaceName, ObjectName},
};
use serde_json::Value;

use super::refusal::{Reason, Refusal};

/// A store with everything that it refers to.
pub(crate) struct Dereferenced {
    /// In the form in which files would have given it.
    pub(crate) manifests: Manifests,
    /// Keys of the ConfigMap that `schemasRef` names.
    pub(crate) schemas: Option<(ObjectName, Vec<DataKey>)>,
    /// Secrets may not be read, and need not be, since somebody else provisions.
    pub(crate) is_blind: bool,
}

/// Why something that is referred to is not there. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DereferenceError {
    /// The author of the EventStore has to do something.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The API server did not answer as it should: try again.
    #[error("{what} cannot be read: {error}")]
    Api { what: String, error: Box<kube::Error> },
}

/// Reads as the operator's service account.
pub(crate) struct Reader<'a> {
    pub(crate) client: &'a Client,
    /// `namespace:name`, for the command that lets it read Secrets.
    pub(crate) account: &'a str,
    /// Whether the operator is installed for the whole cluster, whose administrator made the role then; else its tenants do.
    pub(crate) is_cluster_wide: bool,
}

/// Names of what a store refers to. Pure.
#[derive(Debug, Default, PartialEq, Eq)]
struct References {
    secrets: BTreeMap<ObjectName, BTreeSet<String>>,
    config_maps: BTreeSet<ObjectName>,
    is_external: bool,
}

impl References {
    fn of(store: &EventStore) -> Self {
        let mut references = Self::default();
        let spec = &store.spec;
        let mode = spec.provisioning.as_ref().and_then(|provisioning| provisioning.mode);
        references.is_external = mode == Some(ProvisioningMode::External);
        for source in &spec.sources {
            references.connection(&source.connection);
            // whoever provisions elsewhere may keep that credential elsewhere too
            if let (Some(connection), false) = (&source.provisioning_connection, references.is_external) {
                references.connection(connection);
            }
        }
        if let Some(reference) = spec.gateway.as_ref().and_then(|gateway| gateway.tls_secret_ref.as_ref()) {
            references.secret(&reference.name, None, "tls.crt");
            references.secret(&reference.name, None, "tls.key");
        }
        let validation = spec.events.as_ref().and_then(|events| events.validation.as_ref());
        let schemas = validation.and_then(|validation| validation.schemas_ref.as_ref());
        references.config_maps.extend(schemas.map(|reference| reference.name.clone()));
        references
    }

    fn connection(&mut self, connection: &Connection) {
        if let Some(reference) = &connection.secret_ref {
            self.secret(&reference.name, reference.key.as_ref(), "url");
        }
        if let Some(auth) = &connection.auth {
            self.secret(&auth.secret_ref.name, auth.username_key.as_ref(), "username");
            self.secret(&auth.secret_ref.name, auth.password_key.as_ref(), "password");
        }
        let tls = connection.tls.as_ref();
        if let Some(ca) = tls.and_then(|tls| tls.ca_ref.as_ref()) {
            match ca.kind {
                Some(CaRefKind::Secret) => self.secret(&ca.name, ca.key.as_ref(), "ca.crt"),
                Some(CaRefKind::ConfigMap) | None => {
                    self.config_maps.insert(ca.name.clone());
                }
            }
        }
        if let Some(certificate) = tls.and_then(|tls| tls.client_cert_ref.as_ref()) {
            self.secret(&certificate.name, None, "tls.crt");
            self.secret(&certificate.name, None, "tls.key");
        }
    }

    fn secret(&mut self, name: &ObjectName, key: Option<&DataKey>, default: &str) {
        let key = key.map_or(default, DataKey::as_str);
        self.secrets.entry(name.clone()).or_default().insert(key.to_owned());
    }
}

impl Reader<'_> {
    /// The store with everything that it refers to; `strategy` is its strategy, as far as there is one.
    pub(crate) async fn dereference(
        &self,
        key: &ObjectKey,
        store: &EventStore,
        strategy: Option<ReplicationStrategy>,
    ) -> Result<Dereferenced, DereferenceError> {
        let references = References::of(store);
        let mut manifests = Manifests::default();
        for name in &references.config_maps {
            if let Some(map) = self.config_map(&key.namespace, name).await? {
                manifests.config_maps.insert(in_namespace(key, name), map);
            }
        }
        let mut is_blind = false;
        for (name, keys) in &references.secrets {
            match self.secret(&key.namespace, name, keys).await {
                Ok(secret) => {
                    manifests.secrets.insert(in_namespace(key, name), secret);
                }
                Err(DereferenceError::Refused(refusal))
                    if references.is_external && refusal.reason == Reason::SecretForbidden =>
                {
                    is_blind = true;
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(strategy) = strategy
            && let Some(name) = &store.spec.strategy_ref
        {
            let status = Value::Null;
            manifests.strategies.insert(in_namespace(key, &name.name), Loaded::given(strategy, status));
        }
        let schemas = store.spec.events.as_ref().and_then(|events| events.validation.as_ref());
        let schemas = schemas.and_then(|validation| validation.schemas_ref.as_ref()).and_then(|reference| {
            let map = manifests.config_maps.get(&in_namespace(key, &reference.name))?;
            Some((reference.name.clone(), map.data.keys().cloned().collect()))
        });
        manifests.stores.insert(key.clone(), Loaded::given(store.clone(), Value::Null));
        Ok(Dereferenced { manifests, schemas, is_blind })
    }

    async fn config_map(
        &self,
        namespace: &NamespaceName,
        name: &ObjectName,
    ) -> Result<Option<ConfigMapData>, DereferenceError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace.as_str());
        let found = api.get_opt(name.as_str()).await.map_err(|error| DereferenceError::Api {
            what: format!("ConfigMap {namespace}/{name}"),
            error: Box::new(error),
        })?;
        Ok(found.map(|map| {
            let data = map.data.unwrap_or_default().into_iter();
            let binary = map.binary_data.unwrap_or_default().into_iter();
            ConfigMapData {
                data: data.filter_map(|(key, text)| Some((key.parse().ok()?, text))).collect(),
                binary_data: binary.filter_map(|(key, bytes)| Some((key.parse().ok()?, bytes.0))).collect(),
            }
        }))
    }

    async fn secret(
        &self,
        namespace: &NamespaceName,
        name: &ObjectName,
        keys: &BTreeSet<String>,
    ) -> Result<SecretData, DereferenceError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace.as_str());
        let secret = match api.get_opt(name.as_str()).await {
            Ok(Some(secret)) => secret,
            Ok(None) => {
                let message =
                    format!("there is no Secret {namespace}/{name}: create it with the keys {}", list(keys));
                return Err(Refusal::new(Reason::SecretNotFound, message).into());
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                return Err(Refusal::new(
                    Reason::SecretForbidden,
                    forbidden(namespace, self.account, self.is_cluster_wide),
                )
                .into());
            }
            Err(error) => {
                let what = format!("Secret {namespace}/{name}");
                return Err(DereferenceError::Api { what, error: Box::new(error) });
            }
        };
        let data = secret.data.clone().unwrap_or_default();
        let missing: BTreeSet<String> = keys.iter().filter(|key| !data.contains_key(*key)).cloned().collect();
        if !missing.is_empty() {
            let message =
                format!("Secret {namespace}/{} lacks {}: add it", secret.name_any(), list(&missing));
            return Err(Refusal::new(Reason::SecretKeyMissing, message).into());
        }
        // beside a gateway's certificate, where somebody vouches for it
        let wanted = data.into_iter().filter(|(key, _)| keys.contains(key) || key == "ca.crt");
        Ok(SecretData {
            data: wanted.filter_map(|(key, bytes)| Some((key.parse().ok()?, bytes.0))).collect(),
        })
    }
}

/// What lets the operator read Secrets of a namespace: its tenant's leave, by commands that are complete.
fn forbidden(namespace: &NamespaceName, account: &str, is_cluster_wide: bool) -> String {
    let role = "polylog-secret-reader";
    let (make, kind) = if is_cluster_wide {
        (String::new(), "clusterrole")
    } else {
        let make =
            format!("kubectl create role {role} --namespace {namespace} --verb get --resource secrets && ");
        (make, "role")
    };
    format!(
        "the operator may not read Secrets of this namespace; let it: {make}kubectl create rolebinding {role} \
         --namespace {namespace} --{kind} {role} --serviceaccount {account}"
    )
}

fn list(keys: &BTreeSet<String>) -> String {
    keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn in_namespace(key: &ObjectKey, name: &ObjectName) -> ObjectKey {
    ObjectKey { namespace: key.namespace.clone(), name: name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_store::testing;

    #[test]
    fn the_role_that_lets_secrets_be_read_is_the_clusters_or_the_tenants() {
        let namespace: NamespaceName = "shop".parse().expect("a name");
        let told = |is_cluster_wide| forbidden(&namespace, "ops:polylog-operator", is_cluster_wide);
        assert!(told(true).contains("let it: kubectl create rolebinding"), "{}", told(true));
        assert!(
            told(true).ends_with("--clusterrole polylog-secret-reader --serviceaccount ops:polylog-operator")
        );
        assert!(told(false).contains("let it: kubectl create role polylog-secret-reader --namespace shop"));
        assert!(told(false).ends_with("--role polylog-secret-reader --serviceaccount ops:polylog-operator"));
    }

    #[test]
    fn every_reference_is_found_with_its_key_and_no_other() {
        let store = testing::store(
            "provisioning: {mode: MODE}
events: {validation: {mode: Warn, schemasRef: {name: types}}}
sources:
  - name: ledger
    postgres: {schema: payments}
    connection: {secretRef: {name: ledger-db}, tls: {caRef: {name: ca}, clientCertRef: {name: cert}}}
    provisioningConnection: {url: 'postgres://db/shop', auth: {secretRef: {name: owner}, passwordKey: pw}}"
                .replace("MODE", "Apply")
                .as_str(),
        );
        let references = References::of(&store);
        let keys = |name: &str| {
            let keys = references.secrets.get(&name.parse::<ObjectName>().expect("a name"));
            keys.map(list).unwrap_or_default()
        };
        assert_eq!(
            (keys("ledger-db"), keys("cert"), keys("owner")),
            ("url".into(), "tls.crt, tls.key".into(), "pw, username".into())
        );
        let maps: Vec<&str> = references.config_maps.iter().map(ObjectName::as_str).collect();
        assert_eq!(maps, ["ca", "types"]);
        let mut external = store;
        external.spec.provisioning.as_mut().expect("there").mode = Some(ProvisioningMode::External);
        assert!(!References::of(&external).secrets.keys().any(|name| name.as_str() == "owner"));
    }
}
