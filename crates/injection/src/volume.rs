use std::collections::BTreeMap;

use polylog_crds::manifests::ObjectKey;
use serde_json::{Value, json};

use crate::{
    names::{TOKEN_AUDIENCE, TOKEN_SECONDS, VOLUME},
    store::{Object, Store},
};

/// What is mounted into one pod: its own store's files, and those of further stores in a folder each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounts(BTreeMap<Object, Vec<(String, String)>>);

impl Mounts {
    pub(crate) fn new(own: &Store, further: &[(&ObjectKey, &Store)]) -> Self {
        let mut mounts = Self(BTreeMap::new());
        mounts.add("", own);
        for (key, store) in further {
            mounts.add(&format!("stores/{}.{}/", key.namespace, key.name), store);
        }
        mounts
    }

    fn add(&mut self, folder: &str, store: &Store) {
        for file in &store.files {
            let items = self.0.entry(file.object.clone()).or_default();
            items.push((file.key.clone(), format!("{folder}{}", file.path)));
        }
    }

    /// The volume's sources. All are optional: a pod starts without them, and its sidecar waits and says what is missing.
    pub(crate) fn sources(&self) -> Vec<Value> {
        let objects = self.0.iter().map(|(object, items)| {
            let items: Vec<Value> =
                items.iter().map(|(key, path)| json!({ "key": key, "path": path })).collect();
            match object {
                Object::ConfigMap(name) => {
                    json!({ "configMap": { "name": name, "items": items, "optional": true } })
                }
                Object::Secret(name) => {
                    json!({ "secret": { "name": name, "items": items, "optional": true } })
                }
            }
        });
        let token = json!({ "serviceAccountToken": {
            "audience": TOKEN_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token",
        } });
        objects.chain([token]).collect()
    }

    pub(crate) fn volume(&self) -> Value {
        json!({ "name": VOLUME, "projected": { "sources": self.sources() } })
    }
}
