use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use polylog_crds::values::{NamespaceName, ObjectName};
use serde_json::json;

use super::{
    Lifetimes, Serving, authority::IssueError, contents::Contents, rotation, serving::InvalidCertificate,
};

/// How often the Secret is read.
const EVERY: Duration = Duration::from_secs(30);
/// After a failure, or when somebody else wrote at the same time.
const AGAIN: Duration = Duration::from_secs(2);

/// Where the certificates are kept and used.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) namespace: NamespaceName,
    pub(crate) secret: ObjectName,
    pub(crate) configuration: ObjectName,
    /// The Service in front of the webhook.
    pub(crate) service: ObjectName,
    /// Further names or addresses by which it is called.
    pub(crate) hosts: Vec<String>,
}

/// Why the certificates could not be looked after. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    /// The Secret could not be read or written. It is part of the installation; see the operator's rights.
    #[error("Secret {0}: {1}")]
    Secret(String, #[source] Box<kube::Error>),
    /// The same of the webhook's configuration.
    #[error("MutatingWebhookConfiguration {0}: {1}")]
    Configuration(String, #[source] Box<kube::Error>),
    /// None could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The Secret holds none.
    #[error("Secret {0}: {1}")]
    Invalid(String, #[source] InvalidCertificate),
}

/// Looks after the certificates.
pub(crate) struct Keeper {
    names: Names,
    lifetimes: Lifetimes,
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    serving: Serving,
}

/// What became of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Nothing is to be done for a while.
    Settled,
    /// Something was written, by us or by others: the next step may be due.
    Moved,
}

impl Keeper {
    pub(crate) fn new(client: &Client, names: Names, lifetimes: Lifetimes, serving: Serving) -> Self {
        let secrets = Api::namespaced(client.clone(), names.namespace.as_str());
        Self { names, lifetimes, secrets, configurations: Api::all(client.clone()), serving }
    }

    /// Does so for ever. May be dropped at any time: every step is one write.
    pub(crate) async fn run(&self) {
        let mut has_failed = false;
        loop {
            let pause = match self.look().await {
                Ok(Looked::Settled) => EVERY,
                Ok(Looked::Moved) => AGAIN,
                Err(error) => {
                    if !has_failed {
                        tracing::warn!(event = "webhook_certificate_failed", %error, "the webhook's certificates could not be looked after; it is tried again");
                    }
                    has_failed = true;
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            has_failed = false;
            // short-lived certificates need more frequent looks
            let overlap = self.lifetimes.overlap.unsigned_abs() / 4;
            tokio::time::sleep(pause.min(overlap).max(Duration::from_millis(100))).await;
        }
    }

    async fn look(&self) -> Result<Looked, KeeperError> {
        let secret =
            self.secrets.get(self.names.secret.as_str()).await.map_err(|error| self.of_secret(error))?;
        let contents = secret.data.as_ref().and_then(Contents::read);
        let configuration = self.configuration().await?;
        let trusted = trusted(&configuration);
        let hosts = hosts(&self.names);
        let wanted = rotation::next(contents.as_ref(), &hosts, &trusted, Timestamp::now(), &self.lifetimes)?;
        let is_new = wanted.is_some();
        let held = match (wanted, contents) {
            (Some(wanted), _) => {
                if !self.write(&secret, &wanted).await? {
                    return Ok(Looked::Moved);
                }
                tracing::info!(event = "webhook_certificate_renewed", not_after = %wanted.serving.not_after, "the webhook's certificates have changed");
                wanted
            }
            (None, Some(held)) => held,
            // the first step always gives something new
            (None, None) => return Ok(Looked::Moved),
        };
        let show = self.serving.show(&held);
        show.map_err(|error| KeeperError::Invalid(self.names.secret.to_string(), error))?;
        // only what stands in the Secret is ever trusted: what another process wrote meanwhile is seen at the next look
        let is_told = trusted == held.trusted();
        if !is_told {
            self.trust(&configuration, &held.trusted()).await?;
        }
        Ok(if is_new || !is_told { Looked::Moved } else { Looked::Settled })
    }

    /// False where somebody else wrote it first.
    async fn write(&self, secret: &Secret, contents: &Contents) -> Result<bool, KeeperError> {
        let data: BTreeMap<String, ByteString> = contents.write();
        // with the version that was read, so that only one of several writers succeeds
        let patch =
            json!({ "metadata": { "resourceVersion": secret.metadata.resource_version }, "data": data });
        let name = self.names.secret.as_str();
        match self.secrets.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(self.of_secret(error)),
        }
    }

    async fn configuration(&self) -> Result<MutatingWebhookConfiguration, KeeperError> {
        let found = self.configurations.get(self.names.configuration.as_str()).await;
        found.map_err(|error| self.of_configuration(error))
    }

    async fn trust(
        &self,
        configuration: &MutatingWebhookConfiguration,
        authorities: &str,
    ) -> Result<(), KeeperError> {
        let bundle = ByteString(authorities.as_bytes().to_vec());
        let webhooks = configuration
            .webhooks
            .iter()
            .flatten()
            .map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": bundle } }));
        let patch = json!({
            "metadata": { "resourceVersion": configuration.metadata.resource_version },
            "webhooks": webhooks.collect::<Vec<_>>(),
        });
        let name = self.names.configuration.as_str();
        // strategic: the list is merged by name
        match self.configurations.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Ok(_) => Ok(()),
            Err(error) => Err(self.of_configuration(error)),
        }
    }

    fn of_secret(&self, error: kube::Error) -> KeeperError {
        KeeperError::Secret(self.names.secret.to_string(), Box::new(error))
    }

    fn of_configuration(&self, error: kube::Error) -> KeeperError {
        KeeperError::Configuration(self.names.configuration.to_string(), Box::new(error))
    }
}

/// What the API server trusts; nothing, where its webhooks differ in it.
fn trusted(configuration: &MutatingWebhookConfiguration) -> String {
    let bundles = configuration.webhooks.iter().flatten().map(|webhook| {
        let bundle = webhook.client_config.ca_bundle.as_ref();
        bundle.map_or_else(String::new, |bundle| String::from_utf8_lossy(&bundle.0).into_owned())
    });
    let mut bundles: Vec<String> = bundles.collect();
    bundles.dedup();
    match <[String; 1]>::try_from(bundles) {
        Ok([bundle]) => bundle,
        Err(_) => String::new(),
    }
}

/// The names by which the API server may call.
fn hosts(names: &Names) -> Vec<String> {
    let Names { service, namespace, .. } = names;
    let mut hosts =
        vec![format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local")];
    hosts.extend(names.hosts.iter().cloned());
    hosts
}
