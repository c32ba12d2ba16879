//! What to do about a condition. Pure.

use super::object::{Condition, Store};

/// Conditions that are good news when they are False.
const BAD_WHEN_TRUE: [&str; 3] = ["ApprovalRequired", "Reconciling", "Stalled"];

/// Whether a condition says that something is not as it should be. Unknown is no obstacle by itself: `Ready` and
/// `Available` alone are to be known.
pub(super) fn is_obstacle(condition: &Condition<'_>) -> bool {
    match condition.status {
        "True" => BAD_WHEN_TRUE.contains(&condition.type_),
        "False" => !BAD_WHEN_TRUE.contains(&condition.type_),
        _ => ["Ready", "Available"].contains(&condition.type_),
    }
}

/// What to do about each obstacle, once each. `flags` say which cluster.
pub(super) fn steps(store: &Store, flags: &str) -> Vec<String> {
    let (name, namespace) = (store.name(), store.namespace());
    let mut steps = Vec::new();
    if !store.is_observed() {
        steps.push(format!(
            "no operator has looked at its last change yet; is one there? kubectl polylog check{flags}"
        ));
    }
    for condition in store.conditions().filter(is_obstacle) {
        let hash = store.plan_hash().unwrap_or("HASH");
        let of = format!("{name} --namespace={namespace}{flags}");
        let step = match condition.reason {
            "ApprovalRequired" | "PlanWaits" => {
                format!(
                    "read it: kubectl polylog plan {of}; approve it: kubectl polylog approve {name} {hash} --namespace={namespace}{flags}"
                )
            }
            "PlanOnly" => format!(
                "kubectl polylog plan {of} shows what is missing; nothing is carried out while provisioning.mode is PlanOnly"
            ),
            "SchemaMissing" => format!("have it carried out: kubectl polylog plan {of} --sql"),
            "RestartNeeded" => format!("kubectl polylog restart {of}"),
            "GatewayUnreachable" | "NotOpen" => {
                format!("kubectl logs deployment/polylog-{of}; kubectl describe deployment/polylog-{of}")
            }
            "SourceDown" => {
                "see to the primary's database; appends go on by themselves once it answers".to_owned()
            }
            "NotSupported" | "EngineNotSupported" => {
                "remove the field, or install a later version".to_owned()
            }
            "InvalidReference" | "InvalidValue" | "InvalidExpression" | "InvalidSchema" | "InvalidObject"
            | "InvalidConnection" => "correct what the message names".to_owned(),
            "SecretNotFound" | "SecretKeyMissing" => {
                "create the Secret, or add the key; it is noticed by itself".to_owned()
            }
            "SecretForbidden" => {
                "let the operator read Secrets of the namespace, by the command in the message".to_owned()
            }
            "IdentityConflict" | "ForeignTable" => {
                "give the store a schema of its own, or the database that holds its log".to_owned()
            }
            "Unauthorized" => "correct the user or the password in the Secret".to_owned(),
            "InsufficientRights" => "grant the right: polylog grants prints the statements".to_owned(),
            "TlsRefused" => "check tls.mode, tls.caRef and the host's name".to_owned(),
            "TooMany" => {
                "set delivery: Gateway, lower connection.pool.max or gateway.pool, or have the limit raised"
                    .to_owned()
            }
            "FormatTooNew" => "update the operator".to_owned(),
            "Unreachable" | "ReadOnly" | "DiskFull" | "ServerRefused" | "NotProvisioned" | "Damaged" => {
                "put right what the message names; it is tried again by itself".to_owned()
            }
            _ => continue,
        };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store(conditions: serde_json::Value) -> Store {
        Store(json!({
            "metadata": { "name": "payments", "namespace": "shop", "generation": 2 },
            "status": { "observedGeneration": 2, "plan": { "hash": "ab12" }, "conditions": conditions },
        }))
    }

    #[test]
    fn each_obstacle_has_a_step_and_what_is_not_known_in_this_version_has_none() {
        let store = store(json!([
            { "type": "Ready", "status": "False", "reason": "ApprovalRequired" },
            { "type": "ApprovalRequired", "status": "True", "reason": "PlanWaits" },
            { "type": "Replicating", "status": "Unknown", "reason": "NotInThisVersion" },
            { "type": "Stalled", "status": "False", "reason": "Done" },
            { "type": "SidecarsCurrent", "status": "False", "reason": "RestartNeeded" },
            { "type": "ConnectionBudget", "status": "False", "reason": "TooMany" },
        ]));
        let steps = steps(&store, " --context=prod");
        assert_eq!(steps.len(), 3, "{steps:?}");
        assert!(steps[0].ends_with("kubectl polylog approve payments ab12 --namespace=shop --context=prod"));
        assert_eq!(steps[1], "kubectl polylog restart payments --namespace=shop --context=prod");
        assert!(steps[2].starts_with("set delivery: Gateway"));
    }

    #[test]
    fn a_status_of_an_older_specification_is_said_to_be_one() {
        let mut store = store(json!([]));
        assert!(steps(&store, "").is_empty());
        store.0["metadata"]["generation"] = 3.into();
        assert_eq!(steps(&store, "").len(), 1);
        store.0["status"] = json!({});
        assert_eq!(steps(&store, "").len(), 1);
    }
}
