//! `kubectl polylog restart`: rolls what keeps pods without the current sidecar.

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use serde_json::{Value, json};

use super::{
    kubectl::{EVENT_STORES, Kubectl, KubectlError, Scope},
    object::{Store, text},
    pods::{self, Pod, controller},
};
use crate::exit::{Failure, Outcome};

/// As `kubectl rollout restart` does it.
const ANNOTATION: &str = "kubectl.kubernetes.io/restartedAt";

#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// The EventStore
    store: String,
    /// Only say what would be restarted
    #[arg(long)]
    dry_run: bool,
}

/// What is done about one owner, or one pod that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    Roll,
    /// Why it is left alone.
    Leave(&'static str),
}

pub(super) fn run(kubectl: &Kubectl, args: &RestartArgs) -> Outcome {
    let store = Store(kubectl.get(EVENT_STORES, &args.store, Scope::Given)?);
    let scope = Scope::In(store.namespace());
    let (all, wanted) = pods::ask(kubectl, &store)?;
    if store.current_version().is_none() {
        eprintln!(
            "the operator does not say which version it injects; {} is taken for current",
            wanted.version
        );
    }
    let old: Vec<&Pod> = all.iter().filter(|pod| !pod.sidecar.is_current()).collect();
    if old.is_empty() {
        println!("all {} pods of {}/{} have the current sidecar", all.len(), store.namespace(), store.name());
        return Ok(());
    }
    let sets = names(&old, "ReplicaSet");
    let sets = if sets.is_empty() { Vec::new() } else { kubectl.list("replicasets.apps", &sets, scope)? };
    let owned = by_owner(&old, &pods::by_name(sets));
    let owners = objects(kubectl, &owned, scope)?;
    let mut has_failed = false;
    for ((kind, name), pods) in &owned {
        let act = act(kind, owners.get(&(kind.clone(), name.clone())));
        let what = format!("{}/{name}", kind.to_lowercase());
        let why = why(pods);
        match act {
            Act::Leave(reason) => println!("{what} left alone ({why}): {reason}"),
            Act::Roll if args.dry_run => println!("{what} would be restarted ({why})"),
            Act::Roll => match roll(kubectl, kind, name, scope) {
                Ok(()) => println!("{what} restarted ({why})"),
                Err(error) => {
                    has_failed = true;
                    println!("{what} not restarted ({why}): {error}");
                }
            },
        }
    }
    if has_failed { Err(Failure::Told(1)) } else { Ok(()) }
}

/// Names of owners of this kind, once each.
fn names<'a>(pods: &[&'a Pod], kind: &str) -> Vec<&'a str> {
    let owners = pods.iter().filter_map(|pod| pod.owner.as_ref());
    let mut names: Vec<&str> = owners.filter(|owner| owner.0 == kind).map(|owner| owner.1.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

type Owned<'a> = BTreeMap<(String, String), Vec<&'a Pod>>;

/// The pods by what keeps them in the end: a ReplicaSet's Deployment instead of the ReplicaSet.
fn by_owner<'a>(pods: &[&'a Pod], sets: &HashMap<String, Value>) -> Owned<'a> {
    let mut owned = Owned::new();
    for pod in pods {
        let owner = match &pod.owner {
            None => ("Pod".to_owned(), pod.name.clone()),
            Some(owner) => {
                let above =
                    (owner.0 == "ReplicaSet").then(|| sets.get(&owner.1).and_then(controller)).flatten();
                above.unwrap_or_else(|| owner.clone())
            }
        };
        owned.entry(owner).or_default().push(pod);
    }
    owned
}

fn resource(kind: &str) -> Option<&'static str> {
    match kind {
        "Deployment" => Some("deployments.apps"),
        "StatefulSet" => Some("statefulsets.apps"),
        "DaemonSet" => Some("daemonsets.apps"),
        _ => None,
    }
}

/// The owners that can be rolled, as they are now.
fn objects(
    kubectl: &Kubectl,
    owned: &Owned<'_>,
    scope: Scope<'_>,
) -> Result<HashMap<(String, String), Value>, KubectlError> {
    let mut found = HashMap::new();
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let names: Vec<&str> =
            owned.keys().filter(|owner| owner.0 == kind).map(|owner| owner.1.as_str()).collect();
        if let Some(resource) = resource(kind).filter(|_| !names.is_empty()) {
            let objects = pods::by_name(kubectl.list(resource, &names, scope)?);
            found.extend(objects.into_iter().map(|(name, object)| ((kind.to_owned(), name), object)));
        }
    }
    Ok(found)
}

/// What to do about an owner. Pure.
fn act(kind: &str, object: Option<&Value>) -> Act {
    match kind {
        "Pod" => return Act::Leave("nothing makes it anew; delete it and create it again"),
        "Job" => return Act::Leave("a Job's pods end by themselves; the next one has the current sidecar"),
        "ReplicaSet" | "ReplicationController" => {
            return Act::Leave("it does not roll; delete its pods, and it makes new ones");
        }
        _ if resource(kind).is_none() => return Act::Leave("restart it by its own means"),
        _ => {}
    }
    let Some(object) = object else { return Act::Leave("it is gone; so its pods will be") };
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Act::Leave("it is paused; resume it first");
    }
    let strategy = ["/spec/updateStrategy/type", "/spec/strategy/type"].map(|path| text(object, path));
    if strategy.contains(&"OnDelete") {
        return Act::Leave("its updateStrategy is OnDelete: delete its pods yourself");
    }
    if is_rolling(kind, object) {
        return Act::Leave("it is rolling out already");
    }
    Act::Roll
}

/// Whether pods of an older template are being replaced: those that are not current may be among them.
fn is_rolling(kind: &str, object: &Value) -> bool {
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64);
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return true;
    }
    let status = |path: &str| number(path).unwrap_or(0);
    match kind {
        "Deployment" => {
            status("/status/updatedReplicas") < number("/spec/replicas").unwrap_or(1)
                || status("/status/replicas") > status("/status/updatedReplicas")
        }
        "StatefulSet" => text(object, "/status/currentRevision") != text(object, "/status/updateRevision"),
        _ => status("/status/updatedNumberScheduled") < status("/status/desiredNumberScheduled"),
    }
}

/// How many pods, and what they have.
fn why(pods: &[&Pod]) -> String {
    let mut sidecars: Vec<String> = pods.iter().map(|pod| pod.sidecar.shown()).collect();
    sidecars.sort_unstable();
    sidecars.dedup();
    let pods = if pods.len() == 1 { "1 pod".to_owned() } else { format!("{} pods", pods.len()) };
    format!("{pods}, sidecar: {}", sidecars.join("; "))
}

fn roll(kubectl: &Kubectl, kind: &str, name: &str, scope: Scope<'_>) -> Result<(), KubectlError> {
    let Some(resource) = resource(kind) else { return Ok(()) };
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let annotations = json!({ ANNOTATION: now.to_string() });
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
    kubectl.patch(resource, name, &patch, scope).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{super::pods::Sidecar, *};

    fn pod(name: &str, owner: Option<(&str, &str)>) -> Pod {
        let owner = owner.map(|(kind, name)| (kind.to_owned(), name.to_owned()));
        Pod { name: name.into(), owner, sidecar: Sidecar::Outdated("0.0.9".into()) }
    }

    #[test]
    fn a_deployment_is_found_behind_its_replica_sets() {
        let pods = [
            pod("a", Some(("ReplicaSet", "web-1"))),
            pod("b", Some(("ReplicaSet", "web-2"))),
            pod("c", Some(("ReplicaSet", "alone"))),
            pod("d", None),
        ];
        let set = |name: &str| {
            json!({
                "metadata": { "name": name, "ownerReferences": [{ "kind": "Deployment", "name": "web", "controller": true }] },
            })
        };
        let sets =
            pods::by_name(vec![set("web-1"), set("web-2"), json!({ "metadata": { "name": "alone" } })]);
        let pods: Vec<&Pod> = pods.iter().collect();
        assert_eq!(names(&pods, "ReplicaSet"), ["alone", "web-1", "web-2"]);
        let owned = by_owner(&pods, &sets);
        let counts: Vec<(String, usize)> =
            owned.iter().map(|((kind, name), pods)| (format!("{kind}/{name}"), pods.len())).collect();
        let wanted = [("Deployment/web", 2), ("Pod/d", 1), ("ReplicaSet/alone", 1)];
        assert_eq!(counts, wanted.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(why(&owned[&("Deployment".into(), "web".into())]), "2 pods, sidecar: 0.0.9, outdated");
    }

    #[test]
    fn what_does_not_roll_or_rolls_already_is_left_alone() {
        let settled = json!({
            "metadata": { "generation": 3 }, "spec": { "replicas": 2 },
            "status": { "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2 },
        });
        assert_eq!(act("Deployment", Some(&settled)), Act::Roll);
        let with = |path: &str, value: Value| {
            let mut object = settled.clone();
            *object.pointer_mut(path).expect("it is there") = value;
            act("Deployment", Some(&object))
        };
        let rolling = Act::Leave("it is rolling out already");
        assert_eq!(with("/metadata/generation", json!(4)), rolling);
        assert_eq!(with("/status/updatedReplicas", json!(1)), rolling);
        assert_eq!(with("/status/replicas", json!(3)), rolling);
        assert!(
            matches!(with("/spec", json!({ "replicas": 2, "paused": true })), Act::Leave(why) if why.contains("paused"))
        );
        for kind in ["Pod", "Job", "ReplicaSet", "Rollout"] {
            assert!(matches!(act(kind, None), Act::Leave(_)), "{kind}");
        }
        assert!(matches!(act("Deployment", None), Act::Leave(why) if why.contains("gone")));
        let revisions = |current: &str| json!({ "status": { "currentRevision": current, "updateRevision": "b" }, "spec": {} });
        assert_eq!(act("StatefulSet", Some(&revisions("b"))), Act::Roll);
        assert_eq!(act("StatefulSet", Some(&revisions("a"))), rolling);
        let on_delete = json!({ "spec": { "updateStrategy": { "type": "OnDelete" } } });
        assert!(matches!(act("DaemonSet", Some(&on_delete)), Act::Leave(why) if why.contains("OnDelete")));
        let daemons = json!({ "status": { "desiredNumberScheduled": 2, "updatedNumberScheduled": 1 } });
        assert_eq!(act("DaemonSet", Some(&daemons)), rolling);
    }
}
