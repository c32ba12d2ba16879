//! How other pods come in to one store's gateway.

use std::time::Duration;

use polylog_crds::{event_store::EventStoreSpec, manifests::ObjectKey, values::ObjectName};

use super::{
    EventStores,
    build::{Entrance, Owner},
    dereference::Dereferenced,
    made,
    reconcile::ReconcileError,
};
use crate::entrance::{Certified, Common, Noted, authorities_of, noted};

/// How long the first look at a store waits for what all gateways are given.
const PATIENCE: Duration = Duration::from_secs(5);

impl EventStores {
    /// What the gateway is given, and whether anything is missing that is tried again. What cannot be had now stays as it was
    /// written down. A gateway that lacks something serves nobody but itself, and says what is missing; sidecars with Direct
    /// delivery do not need it.
    pub(super) async fn entrance(
        &self,
        owner: &Owner,
        spec: &EventStoreSpec,
        found: &Dereferenced,
    ) -> Result<(Entrance, bool), ReconcileError> {
        let mut known = self.context.entrance.clone();
        // without an answer in time, what is known now has to do
        let _ = tokio::time::timeout(PATIENCE, known.wait_for(|common| common.is_tried)).await;
        let Common { keys, authority, .. } = known.borrow().clone();
        let key = &owner.key;
        let client = &self.context.client;
        let tenants = spec.gateway.as_ref().and_then(|gateway| gateway.tls_secret_ref.as_ref());
        let certificate = match (tenants, authority) {
            (Some(reference), _) => Some(brought(&reference.name, key, found)),
            (None, Some(authority)) => {
                let is_sure = !self.context.objects.are_changed(key.namespace.as_str(), &made(key));
                let pairs = &self.context.pairs;
                match pairs.of(client, key, |name| owner.metadata(name), &authority, is_sure).await {
                    Ok(certified) => Some(Certificate {
                        secret: certified.secret.clone(),
                        authorities: Some(authority.trusted()),
                        certified: Some(certified),
                    }),
                    Err(error) => {
                        tracing::warn!(event = "gateway_certificate_failed", store = %key, %error, "a gateway could not be given a certificate; it is tried again");
                        None
                    }
                }
            }
            (None, None) => None,
        };
        let is_incomplete = keys.is_none() || certificate.is_none();
        let written = if is_incomplete { noted(client, key).await? } else { Noted::default() };
        let keys = keys.or(written.keys);
        let certificate = certificate.or_else(|| {
            let certified = written.certified?;
            let authorities = written.authorities;
            Some(Certificate { secret: certified.secret.clone(), authorities, certified: Some(certified) })
        });
        let entrance = match certificate {
            Some(Certificate { secret, authorities, certified }) => {
                Entrance { keys, secret: Some(secret), certified, authorities }
            }
            None => Entrance { keys, ..Entrance::default() },
        };
        Ok((entrance, is_incomplete))
    }
}

struct Certificate {
    secret: String,
    authorities: Option<String>,
    /// Of one that the operator made.
    certified: Option<Certified>,
}

/// The one that the store's tenant brought.
fn brought(name: &ObjectName, key: &ObjectKey, found: &Dereferenced) -> Certificate {
    let secret = ObjectKey { namespace: key.namespace.clone(), name: name.clone() };
    let authorities = found.manifests.secrets.get(&secret).and_then(|secret| {
        let data = secret.data.iter().map(|(key, bytes)| (key.as_str().to_owned(), bytes.clone()));
        authorities_of(&data.collect())
    });
    Certificate { secret: name.to_string(), authorities, certified: None }
}
