//! `kubectl polylog approve`: lets the operator carry out the plan that waits.

use std::io::{IsTerminal, Write, stderr, stdin};

use clap::Args;
use serde_json::json;

use super::{
    kubectl::{EVENT_STORES, Kubectl, KubectlError, Scope},
    object::{Store, text},
    plan,
};
use crate::exit::{Failure, Outcome};

const ANNOTATION: &str = "polylog.dev/approve-plan";
/// The status is written now and then; more often than this in a row it is not.
const MOST_TRIES: usize = 10;

#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// The EventStore
    store: String,
    /// Hash of the plan, as `kubectl polylog plan` shows it; without it the plan is shown and you are asked
    hash: Option<String>,
}

/// What is to be done about an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    /// Write it.
    Write,
    /// It stands there already.
    Done,
    /// There is nothing that it could be for.
    Refuse(String),
}

pub(super) fn run(kubectl: &Kubectl, args: &ApproveArgs) -> Outcome {
    let mut store = Store(kubectl.get(EVENT_STORES, &args.store, Scope::Given)?);
    let hash = match &args.hash {
        Some(hash) => hash.clone(),
        None => asked(kubectl, &store)?,
    };
    for _ in 0..MOST_TRIES {
        match decide(&store, &hash) {
            Decision::Write => {}
            Decision::Done => {
                println!("plan {hash} of {}/{} is approved already", store.namespace(), store.name());
                return Ok(());
            }
            Decision::Refuse(why) => return Err(Failure::Failed(anyhow::anyhow!("{why}"))),
        }
        // only over the object that was looked at: what it says of the plan may be another thing by now
        let patch = json!({
            "metadata": { "resourceVersion": store.resource_version(), "annotations": { ANNOTATION: hash } },
        });
        let scope = Scope::In(store.namespace());
        match kubectl.patch(EVENT_STORES, store.name(), &patch, scope) {
            Ok(_) => {
                println!("approved plan {hash} of {}/{}", store.namespace(), store.name());
                eprintln!("kubectl polylog status {} shows what becomes of it", store.name());
                return Ok(());
            }
            Err(KubectlError::Conflict(_)) => {
                store = Store(kubectl.get(EVENT_STORES, store.name(), scope)?);
            }
            Err(KubectlError::Forbidden(words)) => {
                let next = "it takes the rights to patch eventstores and, where the approval policy is installed, the verb \
                            approve: both are in ClusterRole polylog-approve";
                return Err(Failure::Failed(anyhow::anyhow!("{words}\n  next:    {next}")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Failed(anyhow::anyhow!("the EventStore changes all the time; try again")))
}

/// Whether this hash is the one that waits, of a plan that may be carried out. Pure.
fn decide(store: &Store, hash: &str) -> Decision {
    let of = format!("{}/{}", store.namespace(), store.name());
    let Some(waiting) = store.plan_hash() else { return Decision::Refuse(plan::nothing(store)) };
    if waiting != hash {
        return Decision::Refuse(format!(
            "{hash} is not the plan that waits for {of}, which is {waiting}; nothing was approved: look at it with \
             kubectl polylog plan {}",
            store.name()
        ));
    }
    match store.provisioning_mode() {
        "Apply"
            if text(&store.0, &format!("/metadata/annotations/{}", ANNOTATION.replace('/', "~1")))
                == hash =>
        {
            Decision::Done
        }
        "Apply" => Decision::Write,
        mode => Decision::Refuse(format!(
            "provisioning.mode of {of} is {mode}: nobody can approve what the operator does not carry out"
        )),
    }
}

/// Shows the plan, and asks.
fn asked(kubectl: &Kubectl, store: &Store) -> Result<String, Failure> {
    let Some(waiting) = plan::waiting(kubectl, store)? else {
        return Err(Failure::Failed(anyhow::anyhow!("{}", plan::nothing(store))));
    };
    eprint!("{}", waiting.summary());
    if !stdin().is_terminal() {
        let next = format!("kubectl polylog approve {} {}", store.name(), waiting.hash);
        return Err(Failure::Usage(format!("nobody can be asked here: name the hash: {next}")));
    }
    eprint!("approve it for {}/{}? [y/N] ", store.namespace(), store.name());
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(waiting.hash),
        _ => Err(Failure::Failed(anyhow::anyhow!("nothing was approved"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plan_that_waits_and_that_may_be_carried_out_is_approved() {
        let mut store = Store(json!({
            "metadata": { "name": "payments", "namespace": "shop" }, "spec": {},
            "status": { "plan": { "hash": "a1b2", "phase": "Pending" } },
        }));
        assert_eq!(decide(&store, "a1b2"), Decision::Write);
        for other in ["a1b", "a1b2c", "A1B2", ""] {
            assert!(matches!(decide(&store, other), Decision::Refuse(why) if why.contains("which is a1b2")));
        }
        store.0["metadata"]["annotations"] = json!({ ANNOTATION: "a1b2" });
        assert_eq!(decide(&store, "a1b2"), Decision::Done);
        for mode in ["PlanOnly", "External"] {
            store.0["spec"]["provisioning"] = json!({ "mode": mode });
            assert!(matches!(decide(&store, "a1b2"), Decision::Refuse(why) if why.contains(mode)));
        }
        store.0["status"] = json!({ "plan": { "phase": "Applied" } });
        assert!(matches!(decide(&store, "a1b2"), Decision::Refuse(why) if why.contains("nothing waits")));
    }
}
