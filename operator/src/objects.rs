//! What the operator has applied, so that equal content is not sent again.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ObjectMeta, Patch, PatchParams},
};
use parking_lot::Mutex;
use polylog_crds::values::NamespaceName;
use ring::digest::{SHA256, digest};
use serde_json::Value;

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
    /// The newest that was seen, unless only a status changed.
    seen: u64,
    /// What was seen last.
    sight: Option<Sight>,
}

/// What was seen of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The resource version; the greatest if it is none that can be compared.
    version: u64,
    /// Of what it is to be: generation, labels, owners, and that it is the same object.
    content: u64,
    /// Of the rest.
    rest: u64,
    /// Whether it serves, for a kind that does.
    pub(crate) is_ready: bool,
}

impl Sight {
    /// An object of which only this is seen.
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        let version = meta.resource_version.as_deref().and_then(|version| version.parse().ok());
        let owners: Vec<&str> =
            meta.owner_references.iter().flatten().map(|owner| owner.uid.as_str()).collect();
        let content = (&meta.uid, meta.generation, &meta.labels, owners, meta.deletion_timestamp.is_some());
        Self {
            version: version.unwrap_or(u64::MAX),
            content: hashed(&content),
            rest: hashed(&meta.annotations),
            is_ready: false,
        }
    }

    /// With its status.
    pub(crate) fn and(self, status: &Value) -> Self {
        let available = status["availableReplicas"].as_u64().unwrap_or(0);
        Self { rest: hashed(&(self.rest, status.to_string())), is_ready: available > 0, ..self }
    }

    /// Whether what it is to be is as it was, and something else is not. Where nothing differs, the object may be gone:
    /// its deletion looks like it did last.
    fn differs_only_in_status(&self, before: &Self) -> bool {
        self.content == before.content && self.rest != before.rest
    }
}

fn hashed(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// Everything that the operator has applied in this process.
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<HashMap<Key, Entry>>);

impl Objects {
    /// Takes note of an object in the cluster. Whether somebody else changed it, or deleted it.
    pub(crate) fn see(&self, kind: Kind, namespace: &str, name: &str, sight: &Sight) -> bool {
        let mut entries = self.0.lock();
        let Some(entry) = entries.get_mut(&(kind, namespace.to_owned(), name.to_owned())) else {
            // nothing was applied in this process yet
            return false;
        };
        let before = entry.sight.replace(*sight);
        // kinds without a generation are seen without a status
        let is_status =
            before.is_some_and(|before| sight.differs_only_in_status(&before)) && kind.has_status();
        if !is_status {
            entry.seen = entry.seen.max(sight.version);
        }
        entry.seen > entry.applied
    }

    /// Whether it served when it was seen last.
    pub(crate) fn is_ready(&self, kind: Kind, namespace: &str, name: &str) -> Option<bool> {
        let entries = self.0.lock();
        let entry = entries.get(&(kind, namespace.to_owned(), name.to_owned()))?;
        entry.sight.map(|sight| sight.is_ready)
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
        // what is seen of it while the answer is on its way counts too
        self.0.lock().entry(key.clone()).or_default();
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
        let see = |version: &str| {
            let meta = ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() };
            objects.see(Kind::ConfigMap, "shop", "polylog-payments", &Sight::of(&meta))
        };
        assert!(!see("7"), "this process has applied nothing yet");
        let entry = Entry { hash: Some([1; 32]), applied: 7, ..Entry::default() };
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

    #[test]
    fn a_status_that_somebody_writes_is_no_change_but_a_deletion_is() {
        let objects = Objects::default();
        let key = (Kind::Deployment, "shop".to_owned(), "polylog-payments".to_owned());
        let entry = Entry { hash: Some([1; 32]), applied: 7, ..Entry::default() };
        objects.0.lock().insert(key, entry);
        let see = |version: u64, generation: i64, available: u64| {
            let meta = ObjectMeta {
                resource_version: Some(version.to_string()),
                generation: Some(generation),
                ..ObjectMeta::default()
            };
            let status = serde_json::json!({ "availableReplicas": available });
            let sight = Sight::of(&meta).and(&status);
            assert_eq!(sight.is_ready, available > 0);
            objects.see(Kind::Deployment, "shop", "polylog-payments", &sight)
        };
        assert!(!see(7, 1, 0), "our own");
        assert!(!see(8, 1, 1) && !see(9, 1, 0), "only its status");
        assert!(see(10, 2, 0), "somebody scaled it");
        let key = (Kind::Deployment, "shop".to_owned(), "polylog-payments".to_owned());
        objects.0.lock().get_mut(&key).expect("there").applied = 11;
        assert!(!see(11, 3, 0) && !see(12, 3, 1));
        assert!(see(13, 3, 1), "it looks as it did last: it is gone");
    }
}
