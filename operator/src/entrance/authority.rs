use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use polylog_crds::values::{NamespaceName, ObjectName};
use serde_json::json;

use crate::certificates::{Contents, IssueError, Issued, Lifetimes, next};

/// Pods of other namespaces are told of an authority when they are made, and live with it.
const LIFETIMES: Lifetimes = Lifetimes {
    authority: SignedDuration::from_hours(10 * 365 * 24),
    // shown by nobody
    serving: SignedDuration::from_hours(10 * 365 * 24),
    // until every store's ConfigMap has the new one, and every pod has read it
    overlap: SignedDuration::from_hours(24),
};
/// Of a gateway. It is renewed after two thirds of it.
const CERTIFICATE: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Who vouches for gateways.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vouching(Contents);

/// The authority could not be read or made. It is tried again; see the operator's rights in its own namespace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// The API server refuses, or does not answer.
    #[error("Secret {0}: {1}")]
    Secret(String, #[source] Box<kube::Error>),
    /// None could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Somebody else wrote at the same time.
    #[error("Secret {0}: somebody else wrote it")]
    Raced(String),
}

/// Looks after the authority, in a Secret of the operator's own namespace.
pub(super) struct AuthorityKeeper {
    secrets: Api<Secret>,
    name: ObjectName,
}

impl Vouching {
    #[cfg(test)]
    pub(crate) fn first(now: Timestamp) -> Self {
        Self(next(None, &[], "", now, &LIFETIMES).expect("made").expect("something new"))
    }

    /// What is to be trusted: PEM after PEM.
    pub(crate) fn trusted(&self) -> String {
        self.0.trusted()
    }

    /// What signs now is called so.
    pub(crate) fn name(&self) -> &str {
        self.0.signs_as()
    }

    /// A certificate for these names.
    pub(crate) fn vouch(&self, hosts: &[String], now: Timestamp) -> Result<Issued, IssueError> {
        self.0.issue(hosts, now, CERTIFICATE)
    }
}

impl AuthorityKeeper {
    pub(super) fn new(client: &Client, namespace: &NamespaceName, name: ObjectName) -> Self {
        Self { secrets: Api::namespaced(client.clone(), namespace.as_str()), name }
    }

    /// Reads it, and does the next step of its life if one is due.
    pub(super) async fn look(&self) -> Result<Vouching, AuthorityError> {
        let found = self.secrets.get_opt(self.name.as_str()).await.map_err(|error| self.failed(error))?;
        let data = found.as_ref().and_then(|secret| secret.data.as_ref());
        let held = data.and_then(Contents::read);
        let trusted = held.as_ref().map(Contents::trusted).unwrap_or_default();
        let Some(wanted) = next(held.as_ref(), &[], &trusted, Timestamp::now(), &LIFETIMES)? else {
            return held.map(Vouching).ok_or_else(|| AuthorityError::Raced(self.name.to_string()));
        };
        let data = wanted.write();
        match found {
            None => self.create(data).await?,
            Some(found) => self.write(&found, data).await?,
        }
        tracing::info!(event = "gateway_authority_changed", secret = %self.name, "who vouches for gateways has changed");
        Ok(Vouching(wanted))
    }

    async fn create(&self, data: BTreeMap<String, ByteString>) -> Result<(), AuthorityError> {
        let metadata = ObjectMeta { name: Some(self.name.to_string()), ..ObjectMeta::default() };
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        match self.secrets.create(&PostParams::default(), &secret).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Err(AuthorityError::Raced(self.name.to_string()))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn write(&self, found: &Secret, data: BTreeMap<String, ByteString>) -> Result<(), AuthorityError> {
        // with the version that was read, so that only one of several writers succeeds
        let patch =
            json!({ "metadata": { "resourceVersion": found.metadata.resource_version }, "data": data });
        match self.secrets.patch(self.name.as_str(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Err(AuthorityError::Raced(self.name.to_string()))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: kube::Error) -> AuthorityError {
        AuthorityError::Secret(self.name.to_string(), Box::new(error))
    }
}
