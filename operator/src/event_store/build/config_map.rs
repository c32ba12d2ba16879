use serde_json::{Map, Value, json};

use polylog_injection::names as injection;

use super::{Built, Entrance, Kind, Wanted, yaml};
use crate::{
    entrance::{CERTIFICATE_KEY, ClusterKeys},
    event_store::membership::Membership,
    names,
};

/// The manifests that the sidecars and the gateway mount.
pub(super) fn config_map(wanted: &Wanted<'_>) -> Built {
    let key = &wanted.owner.key;
    let (format, number) = names::FORMAT;
    let mut event_store = json!({
        "apiVersion": "polylog.dev/v1alpha1",
        "kind": "EventStore",
        "metadata": {
            "name": key.name.as_str(), "namespace": key.namespace.as_str(),
            // a volume has the keys of a ConfigMap, not its annotations
            "annotations": { (format): number },
        },
        "spec": spec(wanted),
    });
    let status = status(wanted);
    if !status.is_empty() {
        event_store["status"] = status.into();
    }
    let mut data = Map::new();
    data.insert("eventstore.yaml".into(), yaml(&event_store).into());
    if let Some((name, spec)) = wanted.strategy {
        let strategy = json!({
            "apiVersion": "polylog.dev/v1alpha1",
            "kind": "ReplicationStrategy",
            "metadata": { "name": name.as_str(), "namespace": key.namespace.as_str() },
            "spec": spec,
        });
        data.insert("strategy.yaml".into(), yaml(&strategy).into());
    }
    entrance(wanted, &mut data);
    let name = names::of_store(key);
    let mut built = wanted.owner.built(Kind::ConfigMap, name, json!({ "data": data }));
    built.content["metadata"]["annotations"] = json!({ (format): number });
    built
}

/// The log, and where several sources hold it, which these are: without them the first voter holds it alone.
fn status(wanted: &Wanted<'_>) -> Map<String, Value> {
    let mut status = Map::new();
    if let Some(log) = wanted.log {
        status.insert("storeId".into(), log.to_string().into());
    }
    let source = |member: &Membership| {
        let mut source = json!({ "name": member.source });
        if let Some((database, incarnation)) = member.database {
            source["databaseId"] = database.to_string().into();
            source["incarnation"] = incarnation.to_string().into();
        }
        if member.follows.is_some() {
            source["role"] = "Learner".into();
        }
        source
    };
    if !wanted.members.is_empty() {
        status.insert("sources".into(), wanted.members.iter().map(source).collect());
    }
    status
}

/// For sidecars: where the gateway is. For the gateway: by what it knows tokens. For the operator: what it made.
fn entrance(wanted: &Wanted<'_>, data: &mut Map<String, Value>) {
    let key = &wanted.owner.key;
    let address = injection::gateway(key.namespace.as_str(), key.name.as_str());
    data.insert(injection::GATEWAY_ADDRESS.into(), address.into());
    let Entrance { keys, certified, authorities, .. } = &wanted.entrance;
    if let Some(authorities) = authorities {
        data.insert(injection::GATEWAY_AUTHORITY.into(), authorities.as_str().into());
    }
    if let Some(ClusterKeys { issuer, keys }) = keys {
        data.insert("issuer".into(), issuer.as_str().into());
        data.insert("jwks.json".into(), keys.as_str().into());
    }
    if let Some(certified) = certified {
        let text = serde_json::to_string(certified).expect("texts and times are JSON");
        data.insert(CERTIFICATE_KEY.into(), text.into());
    }
}

/// What pods have a use for. Who provisions is none of their business.
fn spec(wanted: &Wanted<'_>) -> Value {
    let mut spec = wanted.spec.clone();
    for source in &mut spec.sources {
        source.provisioning_connection = None;
    }
    serde_json::to_value(spec).expect("plain structs with string keys serialise")
}
