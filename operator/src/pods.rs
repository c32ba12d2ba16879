//! Pods with a sidecar, counted from their metadata alone.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod as KubePod;
use kube::{
    Api, ResourceExt,
    api::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use parking_lot::RwLock;
use polylog_injection::{
    Mark, Settings,
    names::{INJECTED_ANNOTATION as INJECTED, MORE_STORES_ANNOTATION, STORE_LABEL},
};
use tokio_util::sync::CancellationToken;

use crate::{
    fresh_pods::{FreshPod, FreshPods},
    scope::Scope,
};

/// The pods of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PodCounts {
    /// With the label.
    pub(crate) selected: u32,
    /// With a sidecar.
    pub(crate) injected: u32,
    /// With a sidecar of another version than this operator's.
    pub(crate) outdated: u32,
    /// That lack something that is to be mounted now.
    pub(crate) restart_needed: u32,
    /// The oldest sidecar's version.
    pub(crate) oldest_version: Option<String>,
    /// Not every pod was seen yet: there may be more of each.
    pub(crate) is_partial: bool,
}

/// What a pod's annotations say.
#[derive(Debug, Clone)]
struct Pod {
    /// What injection left.
    mark: Option<Mark>,
    /// Further stores.
    more: Option<Box<str>>,
}

/// Every pod that wants a sidecar, as little of it as counting needs.
#[derive(Debug)]
pub(crate) struct Pods {
    /// Those that nobody looked at yet.
    pub(crate) fresh: FreshPods,
    index: RwLock<Index>,
}

/// Both ways, since a label can change, and what is deleted may carry it no longer.
#[derive(Debug, Default)]
struct Index {
    /// By namespace and store, then by the pod's name.
    stores: HashMap<(String, String), HashMap<String, Pod>>,
    /// The store, by namespace and the pod's name.
    pods: HashMap<(String, String), String>,
    /// Where not every pod was seen yet, or not since it was listed again.
    unseen: HashSet<Scope>,
}

impl Index {
    fn wants(&self, namespace: &str, pod: &str, store: &str) -> bool {
        self.pods.get(&(namespace.to_owned(), pod.to_owned())).is_some_and(|wanted| wanted == store)
    }

    fn put(&mut self, namespace: String, pod: String, store: String, noted: Pod) {
        self.remove(&namespace, &pod);
        self.stores.entry((namespace.clone(), store.clone())).or_default().insert(pod.clone(), noted);
        self.pods.insert((namespace, pod), store);
    }

    fn remove(&mut self, namespace: &str, pod: &str) {
        let Some(store) = self.pods.remove(&(namespace.to_owned(), pod.to_owned())) else { return };
        let key = (namespace.to_owned(), store);
        if let Some(pods) = self.stores.get_mut(&key) {
            pods.remove(pod);
            if pods.is_empty() {
                self.stores.remove(&key);
            }
        }
    }
}

impl Index {
    /// The pods of a scope are listed anew.
    fn forget(&mut self, scope: &Scope) {
        match scope {
            Scope::Cluster => {
                self.stores.clear();
                self.pods.clear();
            }
            Scope::Namespace(name) => {
                self.stores.retain(|(namespace, _), _| namespace != name.as_str());
                self.pods.retain(|(namespace, _), _| namespace != name.as_str());
            }
        }
        self.unseen.insert(scope.clone());
    }
}

impl Pods {
    /// Those of these scopes, each of which is to be followed; none was seen yet.
    pub(crate) fn of(scopes: &[Scope]) -> Self {
        let index = Index { unseen: scopes.iter().cloned().collect(), ..Index::default() };
        Self { fresh: FreshPods::default(), index: RwLock::new(index) }
    }

    /// Follows the pods of a scope, which `api` gives, until `stop` is cancelled.
    pub(crate) async fn follow(
        &self,
        scope: &Scope,
        api: Api<PartialObjectMeta<KubePod>>,
        stop: CancellationToken,
    ) {
        let config = watcher::Config::default().labels(STORE_LABEL);
        let mut events = watcher(api, config).default_backoff().take_until(stop.cancelled_owned()).boxed();
        loop {
            match events.try_next().await {
                Ok(Some(event)) => self.take(scope, event),
                Ok(None) => return,
                Err(error) => tracing::debug!(%error, "pods cannot be watched for the moment"),
            }
        }
    }

    fn take(&self, scope: &Scope, event: watcher::Event<PartialObjectMeta<KubePod>>) {
        let mut index = self.index.write();
        match event {
            watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                let namespace = pod.namespace().unwrap_or_default();
                let noted = Pod {
                    mark: pod.annotations().get(INJECTED).and_then(|mark| mark.parse().ok()),
                    more: pod.annotations().get(MORE_STORES_ANNOTATION).map(|more| more.as_str().into()),
                };
                if let Some(store) = pod.labels().get(STORE_LABEL) {
                    if !index.wants(&namespace, &pod.name_any(), store) {
                        self.fresh.put(FreshPod {
                            namespace: namespace.clone(),
                            name: pod.name_any(),
                            store: store.clone(),
                            uid: pod.uid().unwrap_or_default(),
                            seen: Instant::now(),
                        });
                    }
                    index.put(namespace, pod.name_any(), store.clone(), noted);
                }
            }
            watcher::Event::Delete(pod) => {
                index.remove(&pod.namespace().unwrap_or_default(), &pod.name_any());
            }
            // those that vanished while nobody watched would stay otherwise
            watcher::Event::Init => index.forget(scope),
            watcher::Event::InitDone => {
                index.unseen.remove(scope);
            }
        }
    }

    /// Whether a pod is there and wants this store.
    pub(crate) fn wants(&self, namespace: &str, pod: &str, store: &str) -> bool {
        self.index.read().wants(namespace, pod, store)
    }

    /// The pods of a store, judged by this version; `wanted` says what would be mounted now into a pod that asks for these
    /// further stores.
    pub(crate) fn count(
        &self,
        namespace: &str,
        store: &str,
        wanted: impl Fn(Option<&str>) -> Option<Mark>,
    ) -> PodCounts {
        let index = self.index.read();
        let mut counts = PodCounts { is_partial: !index.unseen.is_empty(), ..PodCounts::default() };
        let mut oldest: Option<Vec<u64>> = None;
        // most pods of a store ask for the same
        let mut known: HashMap<Option<&str>, Option<Mark>> = HashMap::new();
        let pods = index.stores.get(&(namespace.to_owned(), store.to_owned()));
        for Pod { mark, more } in pods.into_iter().flat_map(HashMap::values) {
            counts.selected += 1;
            let Some(mark) = mark else { continue };
            counts.injected += 1;
            counts.outdated += u32::from(mark.version != Settings::VERSION);
            let wanted = known.entry(more.as_deref()).or_insert_with(|| wanted(more.as_deref()));
            let lacks = wanted.as_ref().is_some_and(|wanted| wanted.mounts != mark.mounts);
            counts.restart_needed += u32::from(lacks);
            let numbers = numbers(&mark.version);
            if oldest.as_ref().is_none_or(|oldest| numbers < *oldest) {
                oldest = Some(numbers);
                counts.oldest_version = Some(mark.version.chars().take(64).collect());
            }
        }
        counts
    }
}

/// As versions are ordered.
fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;

    use super::*;

    fn pod(name: &str, mark: Option<&str>) -> PartialObjectMeta<KubePod> {
        let text =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        PartialObjectMeta {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("shop".into()),
                labels: Some(text(&[(STORE_LABEL, "payments")])),
                annotations: mark.map(|mark| text(&[(INJECTED, mark)])),
                ..ObjectMeta::default()
            },
            ..PartialObjectMeta::default()
        }
    }

    #[test]
    fn pods_are_counted_until_they_are_gone() {
        let pods = Pods::of(&[Scope::Cluster]);
        assert!(pods.count("shop", "payments", |_| None).is_partial);
        pods.take(&Scope::Cluster, watcher::Event::InitDone);
        let (now, before) = ("00000000000000aa", "00000000000000bb");
        let current = format!("{}/{now}", Settings::VERSION);
        let (ten, nine) = (format!("0.0.10/{now}"), format!("0.0.9/{before}"));
        for (name, mark) in [("a", None), ("b", Some(&*ten)), ("c", Some(&*nine)), ("d", Some(&*current))] {
            pods.take(&Scope::Cluster, watcher::Event::Apply(pod(name, mark)));
        }
        let wanted = |_: Option<&str>| Some(current.parse::<Mark>().expect("a mark"));
        let count = |store| pods.count("shop", store, wanted);
        let counts = count("payments");
        assert_eq!((counts.selected, counts.injected, counts.outdated), (4, 3, 2));
        assert_eq!(counts.restart_needed, 1, "one lacks something");
        assert_eq!(counts.oldest_version.as_deref(), Some("0.0.9"), "as numbers, not as text");
        assert_eq!(count("other"), PodCounts::default());
        pods.take(&Scope::Cluster, watcher::Event::Delete(pod("c", None)));
        assert_eq!(count("payments").oldest_version.as_deref(), Some("0.0.10"));
        let mut moved = pod("b", None);
        moved.labels_mut().insert(STORE_LABEL.into(), "other".into());
        pods.take(&Scope::Cluster, watcher::Event::Apply(moved));
        assert_eq!((count("payments").selected, count("other").selected), (2, 1));
        pods.take(&Scope::Cluster, watcher::Event::Init);
        pods.take(&Scope::Cluster, watcher::Event::InitApply(pod("a", Some(&current))));
        assert_eq!(count("payments").selected, 1, "nothing is left of what vanished unseen");
    }
    #[test]
    fn a_namespace_whose_pods_are_listed_again_says_nothing_of_another() {
        let scope = |name: &str| Scope::Namespace(name.parse().expect("a name"));
        let (shop, billing) = (scope("shop"), scope("billing"));
        let pods = Pods::of(&[shop.clone(), billing.clone()]);
        let count = |namespace| {
            let counts = pods.count(namespace, "payments", |_| None);
            (counts.selected, counts.is_partial)
        };
        let listed = |scope: &Scope| {
            let mut there = pod("a", None);
            there.metadata.namespace = Some(if *scope == shop { "shop" } else { "billing" }.into());
            pods.take(scope, watcher::Event::Init);
            pods.take(scope, watcher::Event::InitApply(there));
            pods.take(scope, watcher::Event::InitDone);
        };
        listed(&shop);
        assert_eq!(
            count("shop"),
            (1, true),
            "a store's pods may be anywhere, and one namespace was not seen"
        );
        listed(&billing);
        assert_eq!((count("shop"), count("billing")), ((1, false), (1, false)));
        pods.take(&billing, watcher::Event::Init);
        assert_eq!((count("shop"), count("billing")), ((1, true), (0, true)));
        pods.take(&billing, watcher::Event::InitDone);
        assert_eq!((count("shop"), count("billing")), ((1, false), (0, false)));
    }
}
