//! What is known of the EventStores, kept up to date by a watch in every process, whether it leads or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, stream};
use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use polylog_crds::{EventStore, manifests::ObjectKey, values::NamespaceName};
use polylog_injection::{Store, Stores};
use tokio::sync::watch;

/// What is known; nothing before everything was read once.
pub(super) type Known = watch::Receiver<Option<Stores>>;

/// Follows the EventStores of these namespaces, of every one if there are none, as long as it is polled.
pub(super) async fn follow(
    client: &Client,
    namespaces: &[NamespaceName],
    known: watch::Sender<Option<Stores>>,
) {
    let resource = ApiResource::erase::<EventStore>(&());
    let apis: Vec<Api<DynamicObject>> = match namespaces {
        [] => vec![Api::all_with(client.clone(), &resource)],
        namespaces => {
            let of = |namespace: &NamespaceName| {
                Api::namespaced_with(client.clone(), namespace.as_str(), &resource)
            };
            namespaces.iter().map(of).collect()
        }
    };
    let mut watched: Vec<Watched> = apis.iter().map(|_| Watched::default()).collect();
    let watches = apis.into_iter().enumerate().map(|(index, api)| {
        let events = watcher(api, watcher::Config::default()).default_backoff();
        events.map(move |event| (index, event)).boxed()
    });
    let mut events = stream::select_all(watches);
    while let Some((index, event)) = events.next().await {
        match event {
            Ok(event) => {
                if watched[index].take(event) && watched.iter().all(|watched| watched.is_read) {
                    let all = watched.iter().flat_map(|watched| watched.stores.clone());
                    known.send_replace(Some(all.collect()));
                }
            }
            Err(error) => tracing::debug!(%error, "EventStores cannot be watched; it is tried again"),
        }
    }
}

/// What one watch said.
#[derive(Debug, Default)]
struct Watched {
    is_read: bool,
    stores: BTreeMap<ObjectKey, Arc<Store>>,
    /// Seen since the watch began anew: what is not among them by the end of the list is gone.
    listed: BTreeSet<ObjectKey>,
}

impl Watched {
    /// Whether what is known changed, once everything is read. A status that changes, changes nothing here.
    fn take(&mut self, event: watcher::Event<DynamicObject>) -> bool {
        match event {
            watcher::Event::Init => {
                self.listed.clear();
                false
            }
            watcher::Event::InitApply(object) => {
                let Some((key, store)) = read(&object) else { return false };
                self.listed.insert(key.clone());
                // only told at the end of the list
                self.put(key, store);
                false
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.stores.retain(|key, _| listed.contains(key));
                self.is_read = true;
                true
            }
            watcher::Event::Apply(object) => {
                let Some((key, store)) = read(&object) else { return false };
                self.put(key, store)
            }
            watcher::Event::Delete(object) => {
                key(&object).is_some_and(|key| self.stores.remove(&key).is_some())
            }
        }
    }

    fn put(&mut self, key: ObjectKey, store: Store) -> bool {
        if self.stores.get(&key).is_some_and(|known| **known == store) {
            return false;
        }
        self.stores.insert(key, Arc::new(store));
        true
    }
}

fn key(object: &DynamicObject) -> Option<ObjectKey> {
    let namespace = object.metadata.namespace.as_ref()?.parse().ok()?;
    Some(ObjectKey { namespace, name: object.metadata.name.as_ref()?.parse().ok()? })
}

/// A store, unless the object was written by another version and cannot be read: then its pods wait, and the store's own
/// conditions say why.
fn read(object: &DynamicObject) -> Option<(ObjectKey, Store)> {
    let key = key(object)?;
    match serde_json::from_value(object.data.get("spec")?.clone()) {
        Ok(spec) => {
            let authority = object.data["status"]["gatewayAuthority"].as_str();
            let store = Store::new(key.name.as_str(), &spec).with_authority(authority);
            Some((key, store))
        }
        Err(error) => {
            tracing::debug!(%error, store = %key, "an EventStore cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watcher::Event;

    use super::*;

    fn object(name: &str, secret: &str, position: u64) -> DynamicObject {
        let object = json!({
            "apiVersion": "polylog.dev/v1alpha1", "kind": "EventStore",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "sources": [{
                "name": "ledger", "connection": { "secretRef": { "name": secret } }, "postgres": { "schema": "s" },
            }] },
            "status": { "position": position },
        });
        serde_json::from_value(object).expect("an object")
    }

    fn names(watched: &Watched) -> Vec<&str> {
        watched.stores.keys().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn a_list_replaces_what_was_known_and_later_events_change_it() {
        let mut watched = Watched::default();
        assert!(!watched.take(Event::Init));
        assert!(!watched.take(Event::InitApply(object("a", "x", 1))));
        assert!(!watched.take(Event::InitApply(object("b", "x", 1))));
        assert!(!watched.is_read);
        assert!(watched.take(Event::InitDone) && watched.is_read);
        assert!(!watched.take(Event::Apply(object("a", "x", 2))), "only its status changed");
        assert!(watched.take(Event::Apply(object("a", "y", 2))));
        assert!(watched.take(Event::Apply(object("c", "x", 1))));
        let mut vouched = object("c", "x", 2);
        vouched.data["status"]["gatewayAuthority"] = json!("PEM");
        assert!(watched.take(Event::Apply(vouched)), "pods of other namespaces are told of it");
        assert!(watched.take(Event::Delete(object("b", "x", 1))));
        assert!(!watched.take(Event::Delete(object("b", "x", 1))));
        assert_eq!(names(&watched), ["a", "c"]);
        // the watch was lost, and a deletion with it
        watched.take(Event::Init);
        watched.take(Event::InitApply(object("c", "x", 1)));
        watched.take(Event::InitDone);
        assert_eq!(names(&watched), ["c"]);
        let mut broken = object("d", "x", 1);
        broken.data["spec"]["sources"] = json!("none");
        assert!(!watched.take(Event::Apply(broken)));
    }
}
