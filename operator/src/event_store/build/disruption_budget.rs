use serde_json::json;

use super::{Built, Kind, Owner};
use crate::names;

/// One gateway at a time may be moved. Never none: a node with the only one could not be drained, and while no gateway
/// runs the sidecars go on.
pub(super) fn disruption_budget(owner: &Owner) -> Built {
    let fields = json!({ "spec": { "maxUnavailable": 1, "selector": { "matchLabels": owner.selector() } } });
    owner.built(Kind::PodDisruptionBudget, names::of_store(&owner.key), fields)
}
