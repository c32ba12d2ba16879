//! What a deleted EventStore waits for before it is wiped, and how its status says so. Pure.

use jiff::Timestamp;
use polylog_crds::{Condition, ConditionStatus, event_store::ProvisioningMode, manifests::ObjectKey};

use super::{refusal::Refusal, validate::shortened};
use crate::names::FORCE_DELETE;

/// Names of pods that a message has room for.
const MOST_PODS: usize = 5;

/// What it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// `suspend` is true.
    Suspended,
    /// The operator may not change the databases.
    NotOurs(ProvisioningMode),
    /// Pods with a sidecar of the store.
    Sidecars(Vec<String>),
    /// Pods of its gateway.
    Gateway(Vec<String>),
    /// Something stands in the way.
    Refused(Refusal),
}

impl Wait {
    /// Whether it never ends by itself.
    fn is_stalled(&self) -> bool {
        match self {
            Wait::Suspended | Wait::NotOurs(_) => true,
            Wait::Sidecars(_) | Wait::Gateway(_) => false,
            Wait::Refused(refusal) => refusal.is_invalid(),
        }
    }

    fn reason(&self) -> String {
        match self {
            Wait::Suspended => "Suspended".to_owned(),
            Wait::NotOurs(mode) => format!("{mode:?}"),
            Wait::Sidecars(_) | Wait::Gateway(_) => "Draining".to_owned(),
            Wait::Refused(refusal) => refusal.reason.to_string(),
        }
    }

    fn message(&self, key: &ObjectKey) -> String {
        let what = match self {
            Wait::Suspended => "spec.suspend is true: nothing is touched; set it to false".to_owned(),
            Wait::NotOurs(mode) => format!(
                "provisioning.mode is {mode:?}: the operator drops nothing; drop the tables, or set mode: Apply"
            ),
            Wait::Sidecars(pods) => {
                let names = names(pods);
                format!("{} pods still have a sidecar of this store ({names}): end them", pods.len())
            }
            Wait::Gateway(pods) => format!("{} pods of the gateway have not ended yet", pods.len()),
            Wait::Refused(refusal) => refusal.message.clone(),
        };
        let ObjectKey { namespace, name } = key;
        shortened(format!(
            "deleted, but not wiped: {what}. To let it go as it is: kubectl annotate eventstore {name} --namespace \
             {namespace} {FORCE_DELETE}=true"
        ))
    }

    /// The conditions of a store that waits; those that say nothing of it stay.
    pub(super) fn conditions(
        &self,
        key: &ObjectKey,
        generation: Option<i64>,
        previous: &[Condition],
        now: Timestamp,
    ) -> Vec<Condition> {
        let (reason, message) = (self.reason(), self.message(key));
        let told = |type_: &str, status: ConditionStatus, reason: &str, message: &str| {
            let before = previous.iter().find(|before| before.type_ == type_);
            let unchanged = before.filter(|before| before.status == status);
            Condition {
                type_: type_.to_owned(),
                status,
                reason: reason.to_owned(),
                message: message.to_owned(),
                observed_generation: generation,
                last_transition_time: unchanged.map_or(now, |before| before.last_transition_time),
            }
        };
        let (reconciling, stalled) = if self.is_stalled() {
            let done = told("Reconciling", ConditionStatus::False, "Deleting", "");
            (done, told("Stalled", ConditionStatus::True, &reason, &message))
        } else {
            let tried = told("Reconciling", ConditionStatus::True, &reason, &message);
            (tried, told("Stalled", ConditionStatus::False, "Deleting", ""))
        };
        let ready = told("Ready", ConditionStatus::False, "Deleting", &message);
        let available = told("Available", ConditionStatus::Unknown, "Deleting", "its gateway was ended");
        let mut conditions = vec![ready, available, reconciling, stalled];
        let others =
            previous.iter().filter(|before| !conditions.iter().any(|next| next.type_ == before.type_));
        let others: Vec<Condition> = others.cloned().collect();
        conditions.extend(others);
        conditions
    }
}

fn names(pods: &[String]) -> String {
    let first: Vec<&str> = pods.iter().take(MOST_PODS).map(String::as_str).collect();
    let rest = if pods.len() > MOST_PODS { ", …" } else { "" };
    format!("{}{rest}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_store::refusal::Reason;

    #[test]
    fn whoever_has_to_act_is_told_and_what_passes_by_itself_is_told_apart() {
        let key = ObjectKey {
            namespace: "shop".parse().expect("a name"),
            name: "payments".parse().expect("a name"),
        };
        let find = |conditions: &[Condition], type_: &str| {
            conditions.iter().find(|condition| condition.type_ == type_).cloned().expect("there")
        };
        let of =
            |wait: &Wait, before: &[Condition]| wait.conditions(&key, Some(3), before, Timestamp::UNIX_EPOCH);
        let pods: Vec<String> = (0..7).map(|n| format!("checkout-{n}")).collect();
        let draining = of(&Wait::Sidecars(pods), &[]);
        let reconciling = find(&draining, "Reconciling");
        assert_eq!((reconciling.status, reconciling.reason.as_str()), (ConditionStatus::True, "Draining"));
        assert!(reconciling.message.contains("7 pods") && reconciling.message.contains("checkout-4, …"));
        assert!(reconciling.message.contains("payments --namespace shop polylog.dev/force-delete=true"));
        let forbidden = Refusal::new(Reason::SecretForbidden, "let it");
        let stuck = of(&Wait::Refused(forbidden), &draining);
        assert_eq!(find(&stuck, "Stalled").reason, "SecretForbidden");
        assert_eq!(find(&stuck, "Reconciling").status, ConditionStatus::False);
        assert_eq!(find(&stuck, "Ready").reason, "Deleting");
        let away = Wait::Refused(Refusal::new(Reason::Unreachable, "no route"));
        assert_eq!(find(&of(&away, &stuck), "Stalled").status, ConditionStatus::False);
        for wait in [Wait::Suspended, Wait::NotOurs(ProvisioningMode::External)] {
            assert_eq!(find(&of(&wait, &[]), "Stalled").status, ConditionStatus::True, "{wait:?}");
        }
        let valid = Condition { type_: "Valid".into(), ..find(&stuck, "Ready") };
        assert_eq!(of(&away, &[valid]).len(), 5, "what else is known stays");
    }
}
