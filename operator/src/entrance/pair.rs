//! A gateway's certificate with its key, in a Secret of its store's namespace that is made once and never read: the operator
//! has no right to read Secrets there. What it has to know of it stands in the store's ConfigMap.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, api::PostParams};
use parking_lot::Mutex;
use polylog_crds::manifests::ObjectKey;
use polylog_injection::names::GATEWAY_AUTHORITY;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ClusterKeys, Vouching};
use crate::{certificates::IssueError, names};

/// The key of the store's ConfigMap that says which Secret it is.
pub(crate) const KEY: &str = "gateway-certificate.json";

/// What is known of a gateway's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Certified {
    /// The Secret.
    pub(crate) secret: String,
    /// Who signed it.
    authority: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certified {
    /// Whether it will do for a while. It is renewed after two thirds of its time.
    fn is_good(&self, vouching: &Vouching, now: Timestamp) -> bool {
        let life = self.not_after.duration_since(self.not_before);
        self.authority == vouching.name() && now < self.not_before + life * 2 / 3
    }
}

/// A certificate could not be made. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PairError {
    /// No key or certificate.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The API server refuses, or does not answer: the operator needs the right to create Secrets there.
    #[error("{0}: {1}")]
    Api(String, #[source] Box<kube::Error>),
}

/// What stands in a store's ConfigMap already, of this process or of one before.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) certified: Option<Certified>,
    pub(crate) authorities: Option<String>,
    pub(crate) keys: Option<ClusterKeys>,
}

/// The certificates that this process knows of.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Mutex<HashMap<ObjectKey, Certified>>);

impl Pairs {
    /// A good certificate for the store's gateway: the one that there is, or a new one. `is_sure` = nobody else has changed
    /// the store's objects since it was looked at.
    pub(crate) async fn of(
        &self,
        client: &Client,
        key: &ObjectKey,
        metadata: impl FnOnce(&str) -> Value,
        vouching: &Vouching,
        is_sure: bool,
    ) -> Result<Certified, PairError> {
        let now = Timestamp::now();
        let known = self.0.lock().get(key).cloned().filter(|_| is_sure);
        let known = match known {
            Some(known) => Some(known),
            None => noted(client, key).await?.certified,
        };
        let certified = match known.filter(|known| known.is_good(vouching, now)) {
            Some(good) => good,
            None => make(client, key, metadata, vouching, now).await?,
        };
        self.0.lock().insert(key.clone(), certified.clone());
        Ok(certified)
    }

    /// Nothing of a store that is gone is kept.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.0.lock().remove(key);
    }
}

/// Reads it.
pub(crate) async fn noted(client: &Client, key: &ObjectKey) -> Result<Noted, PairError> {
    let name = names::of_store(key);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), key.namespace.as_str());
    let map = maps.get_opt(&name).await;
    let map =
        map.map_err(|error| PairError::Api(format!("ConfigMap {}/{name}", key.namespace), Box::new(error)))?;
    let mut data = map.and_then(|map| map.data).unwrap_or_default();
    let certified = data.remove(KEY).and_then(|text| serde_json::from_str(&text).ok());
    let authorities = data.remove(GATEWAY_AUTHORITY);
    let keys = data.remove("issuer").zip(data.remove("jwks.json"));
    Ok(Noted { certified, authorities, keys: keys.map(|(issuer, keys)| ClusterKeys { issuer, keys }) })
}

async fn make(
    client: &Client,
    key: &ObjectKey,
    metadata: impl FnOnce(&str) -> Value,
    vouching: &Vouching,
    now: Timestamp,
) -> Result<Certified, PairError> {
    let issued = vouching.vouch(&hosts(key), now)?;
    let id = Uuid::new_v4().simple().to_string();
    let name = format!("{}-gateway-{}", names::of_store(key), &id[..8]);
    let failed = |error| PairError::Api(format!("Secret {}/{name}", key.namespace), Box::new(error));
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(&name),
        "type": "kubernetes.io/tls",
        "stringData": { "tls.crt": issued.certificate, "tls.key": issued.key },
    });
    let secret: Secret = serde_json::from_value(secret).map_err(kube::Error::SerdeError).map_err(failed)?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), key.namespace.as_str());
    secrets.create(&PostParams::default(), &secret).await.map_err(failed)?;
    tracing::info!(event = "gateway_certificate_made", store = %key, not_after = %issued.not_after, "a gateway has a new certificate");
    Ok(Certified {
        secret: name,
        authority: vouching.name().to_owned(),
        not_before: issued.not_before,
        not_after: issued.not_after,
    })
}

/// The names by which pods call a gateway.
fn hosts(key: &ObjectKey) -> Vec<String> {
    let (service, namespace) = (names::of_store(key), &key.namespace);
    vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.clone(),
    ]
}

/// Who vouches for a certificate that a tenant brought: `ca.crt` beside it, else the last of its chain.
pub(crate) fn authorities_of(secret: &std::collections::BTreeMap<String, Vec<u8>>) -> Option<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let text = |key: &str| secret.get(key).and_then(|bytes| std::str::from_utf8(bytes).ok());
    if let Some(authorities) = text("ca.crt").filter(|text| text.contains(BEGIN)) {
        return Some(authorities.to_owned());
    }
    let chain = text("tls.crt")?;
    Some(chain[chain.rfind(BEGIN)?..].to_owned())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_time_and_with_its_authority() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(490_000);
        let vouching = Vouching::first(now);
        let day = |days: i64| now + SignedDuration::from_hours(24 * days);
        let certified = Certified {
            secret: "polylog-payments-gateway-0".into(),
            authority: vouching.name().into(),
            not_before: now,
            not_after: day(365),
        };
        assert!(certified.is_good(&vouching, day(240)));
        assert!(!certified.is_good(&vouching, day(245)));
        let other = Vouching::first(day(1));
        assert!(!certified.is_good(&other, day(1)));
        let text = serde_json::to_string(&certified).expect("JSON");
        assert_eq!(serde_json::from_str::<Certified>(&text).expect("the same"), certified);
    }

    #[test]
    fn who_vouches_for_a_tenants_certificate_is_beside_it_or_last_in_its_chain() {
        let pem = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n");
        let chain = format!("{}{}", pem("own"), pem("between"));
        let mut secret = std::collections::BTreeMap::from([("tls.crt".to_owned(), chain.into_bytes())]);
        assert_eq!(authorities_of(&secret), Some(pem("between")));
        secret.insert("ca.crt".into(), pem("root").into_bytes());
        assert_eq!(authorities_of(&secret), Some(pem("root")));
        secret.insert("ca.crt".into(), Vec::new());
        assert_eq!(authorities_of(&secret), Some(pem("between")), "it is empty");
        secret.insert("tls.crt".into(), b"geheim".to_vec());
        assert_eq!(authorities_of(&secret), None);
    }
}
