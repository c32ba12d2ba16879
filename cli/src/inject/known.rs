use std::{collections::BTreeSet, path::Path};

use polylog_crds::{
    manifests::{self, Manifests, ObjectKey},
    values::NamespaceName,
};
use polylog_injection::{Store, Stores, names::STORE_LABEL, pod_template};
use serde_json::Value;

use super::{FurtherStores, documents::Document, objects};
use crate::exit::Failure;

/// The EventStores that the files hold.
#[derive(Debug)]
pub(super) struct Known {
    namespace: NamespaceName,
    stores: Stores,
}

impl Known {
    /// None yet; what names no namespace is in this one.
    pub(super) fn new(namespace: NamespaceName) -> Self {
        Self { namespace, stores: Stores::default() }
    }

    pub(super) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The namespace of an object.
    pub(super) fn namespace_of(&self, object: &Value) -> Result<NamespaceName, String> {
        match object["metadata"].get("namespace") {
            None | Some(Value::Null) => Ok(self.namespace.clone()),
            Some(namespace) => {
                let namespace = namespace.as_str().unwrap_or_default();
                namespace.parse().map_err(|error| format!("metadata.namespace: {error}"))
            }
        }
    }

    /// Those that somebody else knows, of every namespace with a pod that wants a sidecar. To be added first: what is
    /// added later wins.
    pub(super) fn add_further(
        &mut self,
        documents: &mut [Document],
        further: &FurtherStores<'_>,
    ) -> Result<(), Failure> {
        let mut namespaces = BTreeSet::new();
        for document in documents {
            for object in objects(&mut document.value) {
                let namespace = self.namespace_of(object).map_err(Failure::Usage)?;
                let asks = |template: &mut Value| template["metadata"]["labels"].get(STORE_LABEL).is_some();
                if pod_template(object).is_some_and(asks) {
                    namespaces.insert(namespace);
                }
            }
        }
        for namespace in namespaces {
            for (name, spec) in further(&namespace)? {
                let store = Store::new(&name, &spec);
                let name = name.parse().map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
                self.stores.insert(ObjectKey { namespace: namespace.clone(), name }, store);
            }
        }
        Ok(())
    }

    /// Those among the documents.
    pub(super) fn add_documents(&mut self, documents: &[Document]) -> Result<(), Failure> {
        for document in documents.iter().filter(|document| has_store(&document.value)) {
            // the lines before it, so that mistakes are told with their places
            let text = format!("{}{}", "\n".repeat(document.line - 1), document.text);
            let manifests = manifests::read_texts([(Path::new(&document.file), text.as_str())]);
            self.add(&manifests.map_err(|problems| Failure::Usage(problems.to_string()))?)?;
        }
        Ok(())
    }

    /// Those of a folder, or of a file.
    pub(super) fn add_path(&mut self, path: &Path) -> Result<(), Failure> {
        let manifests = manifests::read(path).map_err(|error| Failure::Usage(error.to_string()))?;
        self.add(&manifests)
    }

    fn add(&mut self, manifests: &Manifests) -> Result<(), Failure> {
        for (key, store) in &manifests.stores {
            let namespace = self.namespace_of(store.json()).map_err(Failure::Usage)?;
            let name = key.name.clone();
            let authority = store.status().get("gatewayAuthority").and_then(serde_json::Value::as_str);
            let known = Store::new(name.as_str(), &store.object.spec).with_authority(authority);
            self.stores.insert(ObjectKey { namespace, name }, known);
        }
        Ok(())
    }
}

fn has_store(document: &Value) -> bool {
    let is_store = |object: &Value| {
        object["kind"] == "EventStore"
            && object["apiVersion"].as_str().is_some_and(|version| version.starts_with("polylog.dev/"))
    };
    let items = document["items"].as_array();
    is_store(document) || items.is_some_and(|items| items.iter().any(is_store))
}
