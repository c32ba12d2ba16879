//! Which namespaces this installation looks after, so that two never do at once.
//!
//! A namespace is watched because it is listed, because it has the label, or because all are. Besides, it is claimed: a
//! Lease in it names the installation that looks after it. An installation that finds another one's Lease leaves the
//! namespace alone, and says so. Every process of an installation claims for the installation, so that a new leader goes
//! on where the last one ended.

mod claim;
mod claims;

use std::{collections::HashSet, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Client, ResourceExt, api::PartialObjectMeta};
use parking_lot::RwLock;
use polylog_crds::values::NamespaceName;

use self::claims::Claims;
use crate::OperatorArgs;

/// Label of a namespace that is looked after, where labels decide.
const ENABLED: &str = "polylog.dev/enabled";

/// Whether an object of a namespace is reconciled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tended {
    /// It is.
    Ours,
    /// Its namespace has not the label.
    Unlabelled,
    /// Another installation looks after the namespace.
    Taken {
        /// The other one.
        holder: String,
        /// Nobody was told yet.
        is_news: bool,
        /// When to ask again.
        again: Duration,
    },
}

/// The namespaces of this installation.
pub(crate) struct Namespaces {
    /// Those with the label; absent where the label does not matter.
    labelled: Option<RwLock<HashSet<String>>>,
    claims: Claims,
}

impl Namespaces {
    pub(crate) fn new(args: &OperatorArgs, client: Client) -> Self {
        let installation = format!("{}/{}", args.namespace, args.lease);
        Self {
            labelled: args.watch_labelled.then(RwLock::default),
            claims: Claims::new(client, installation),
        }
    }

    /// Whether the label decides, so that namespaces have to be watched.
    pub(crate) fn are_labelled(&self) -> bool {
        self.labelled.is_some()
    }

    /// Takes note of a namespace in the cluster.
    pub(crate) fn note(&self, namespace: &PartialObjectMeta<Namespace>) {
        let Some(labelled) = &self.labelled else { return };
        let name = namespace.name_any();
        if is_enabled(namespace) {
            labelled.write().insert(name);
        } else {
            labelled.write().remove(&name);
            self.claims.give_up(&name);
        }
    }

    /// Whether objects of a namespace are watched, as far as is known.
    pub(crate) fn is_watched(&self, namespace: &str) -> bool {
        self.labelled.as_ref().is_none_or(|labelled| labelled.read().contains(namespace))
    }

    /// Whether this installation looks after a namespace, which it claims if nobody has.
    ///
    /// # Errors
    /// What the API server says; try again.
    pub(crate) async fn tend(&self, namespace: &NamespaceName) -> Result<Tended, kube::Error> {
        if self.is_watched(namespace.as_str()) {
            self.claims.claim(namespace.as_str()).await
        } else {
            Ok(Tended::Unlabelled)
        }
    }

    /// What is to be said of a namespace that another installation has.
    pub(crate) fn note_of(&self, namespace: &NamespaceName, holder: &str) -> String {
        format!(
            "installation {holder} looks after namespace {namespace}; this one ({}) leaves it alone. Two must not \
             overlap: change watchNamespaces of one. If the other one is gone: kubectl delete lease {} --namespace \
             {namespace}",
            self.claims.installation(),
            claim::NAME
        )
    }

    /// Renews the claims as long as it is polled.
    pub(crate) async fn keep(&self) {
        self.claims.keep().await;
    }
}

fn is_enabled(namespace: &PartialObjectMeta<Namespace>) -> bool {
    namespace.labels().get(ENABLED).is_some_and(|value| value != "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_decides_unless_it_says_no() {
        let namespace = |labels: &[(&str, &str)]| {
            let mut namespace = PartialObjectMeta::<Namespace>::default();
            namespace
                .labels_mut()
                .extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            namespace
        };
        assert!(is_enabled(&namespace(&[(ENABLED, "")])) && is_enabled(&namespace(&[(ENABLED, "true")])));
        assert!(!is_enabled(&namespace(&[(ENABLED, "false")])) && !is_enabled(&namespace(&[])));
    }
}
