//! What the operator has applied, so that equal content is not sent again.

use std::collections::HashMap;

use kube::{Api, Client, ResourceExt, api::DynamicObject, api::Patch, api::PatchParams};
use parking_lot::Mutex;
use polylog_crds::values::NamespaceName;
use ring::digest::{SHA256, digest};

use crate::{
    event_store::build::{Built, Kind},
    metrics::Metrics,
};

type Key = (Kind, String, String);

/// What was applied, and what was seen of it since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Entry {
    /// Of the content.
    hash: Option<[u8; 32]>,
    /// The resource version that applying gave.
    applied: u64,
    /// The newest that was seen.
    seen: u64,
}

/// Everything that the operator has applied in this process.
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<HashMap<Key, Entry>>);

impl Objects {
    /// Takes note of an object in the cluster. Whether somebody else changed it, or deleted it.
    pub(crate) fn see(&self, kind: Kind, namespace: &str, name: &str, version: Option<&str>) -> bool {
        let version = version.and_then(|version| version.parse().ok()).unwrap_or(u64::MAX);
        let mut entries = self.0.lock();
        let Some(entry) = entries.get_mut(&(kind, namespace.to_owned(), name.to_owned())) else {
            // nothing was applied in this process yet
            return false;
        };
        entry.seen = entry.seen.max(version);
        entry.seen > entry.applied
    }

    /// Whether any of these objects is not as it was applied.
    pub(crate) fn are_changed(&self, namespace: &str, names: &[(Kind, String)]) -> bool {
        let entries = self.0.lock();
        names.iter().any(|(kind, name)| {
            let entry = entries.get(&(*kind, namespace.to_owned(), name.clone()));
            entry.is_some_and(|entry| entry.seen > entry.applied)
        })
    }

    /// Forgets what belonged to a store that is gone.
    pub(crate) fn forget(&self, namespace: &str, names: &[(Kind, String)]) {
        let mut entries = self.0.lock();
        for (kind, name) in names {
            entries.remove(&(*kind, namespace.to_owned(), name.clone()));
        }
    }

    /// Makes the object in the cluster as it is built, unless it is so already.
    ///
    /// # Errors
    /// What the API server says; nothing is remembered then.
    pub(crate) async fn apply(
        &self,
        client: &Client,
        namespace: &NamespaceName,
        built: &Built,
        metrics: &Metrics,
    ) -> Result<(), kube::Error> {
        let key = (built.kind, namespace.to_string(), built.name.clone());
        let hash = hash(built);
        if self
            .0
            .lock()
            .get(&key)
            .is_some_and(|entry| entry.hash == Some(hash) && entry.seen <= entry.applied)
        {
            return Ok(());
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace.as_str(), &built.kind.resource());
        let params = PatchParams::apply(built.kind.field_manager()).force();
        metrics.wrote(built.kind.name());
        let applied = api.patch(&built.name, &params, &Patch::Apply(&built.content)).await?;
        let version = applied.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0);
        let mut entries = self.0.lock();
        let entry = entries.entry(key).or_default();
        entry.hash = Some(hash);
        entry.applied = entry.applied.max(version);
        Ok(())
    }

    /// Removes an object that is no longer wanted; one that is not there is no mistake.
    ///
    /// # Errors
    /// What the API server says.
    pub(crate) async fn remove(
        &self,
        client: &Client,
        namespace: &NamespaceName,
        kind: Kind,
        name: &str,
        metrics: &Metrics,
    ) -> Result<(), kube::Error> {
        let key = (kind, namespace.to_string(), name.to_owned());
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace.as_str(), &kind.resource());
        metrics.wrote(kind.name());
        match api.delete(name, &kube::api::DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
        self.0.lock().remove(&key);
        Ok(())
    }
}

fn hash(built: &Built) -> [u8; 32] {
    let mut hash = [0; 32];
    // maps of JSON are sorted, so that equal content gives equal text
    hash.copy_from_slice(digest(&SHA256, built.content.to_string().as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_of_our_own_write_is_no_change_and_anything_newer_is() {
        let objects = Objects::default();
        let names = [(Kind::ConfigMap, "polylog-payments".to_owned())];
        let see = |version| objects.see(Kind::ConfigMap, "shop", "polylog-payments", Some(version));
        assert!(!see("7"), "this process has applied nothing yet");
        let entry = Entry { hash: Some([1; 32]), applied: 7, seen: 0 };
        objects.0.lock().insert((Kind::ConfigMap, "shop".into(), "polylog-payments".into()), entry);
        assert!(!see("6") && !see("7"));
        assert!(!objects.are_changed("shop", &names));
        assert!(see("8"));
        assert!(see("7"), "an older echo takes nothing back");
        assert!(objects.are_changed("shop", &names));
        assert!(!objects.are_changed("other", &names));
        objects.forget("shop", &names);
        assert!(!objects.are_changed("shop", &names));
    }
}
