//! `kubectl polylog plan`: the plan that waits.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::{
    kubectl::{EVENT_STORES, Kubectl, KubectlError, Scope},
    object::{Store, list, text},
    output::{OutputArgs, print},
};
use crate::{
    exit::{Failure, Outcome},
    output::Output,
};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The EventStore
    store: String,
    /// Only the statements, to be carried out by somebody else
    #[arg(long, conflicts_with = "output")]
    sql: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is known of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) hash: String,
    /// The first steps, from the status.
    steps: Vec<Value>,
    more: u64,
    /// Every step as text and as statements; or why they are not known.
    details: Result<Details, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    text: String,
    sql: String,
}

pub(super) fn run(kubectl: &Kubectl, args: &PlanArgs) -> Outcome {
    let store = Store(kubectl.get(EVENT_STORES, &args.store, Scope::Given)?);
    let Some(waiting) = waiting(kubectl, &store)? else {
        eprintln!("{}", nothing(&store));
        if args.sql {
            return Ok(());
        }
        return print(args.output.output, String::new, || json!({ "hash": null, "steps": [] }));
    };
    if args.sql {
        let details = waiting.details.map_err(|why| Failure::Failed(anyhow::anyhow!("{why}")))?;
        let mut out = Output::new();
        out.text(&details.sql)?;
        return Ok(out.flush()?);
    }
    print(args.output.output, || waiting.shown(), || waiting.document())?;
    eprintln!("{}", next(&store, &waiting.hash, &kubectl.shown_flags()));
    Ok(())
}

/// The plan that waits for this store, if one does.
pub(super) fn waiting(kubectl: &Kubectl, store: &Store) -> Result<Option<Waiting>, KubectlError> {
    let Some(hash) = store.plan_hash() else { return Ok(None) };
    let name = match text(&store.0, "/status/plan/detailsRef/name") {
        "" => format!("polylog-{}-plan", store.name()),
        name => name.to_owned(),
    };
    let details = match kubectl.get("configmaps", &name, Scope::In(store.namespace())) {
        Ok(map) => details(&map, hash),
        Err(KubectlError::Forbidden(words)) => Err(format!("the statements cannot be shown: {words}")),
        Err(KubectlError::NotFound(_)) => Err(format!("ConfigMap {name} is not there yet: try again")),
        Err(error) => return Err(error),
    };
    Ok(Some(Waiting {
        hash: hash.to_owned(),
        steps: list(&store.0, "/status/plan/steps").to_vec(),
        more: store.0.pointer("/status/plan/more").and_then(Value::as_u64).unwrap_or_default(),
        details,
    }))
}

/// What the ConfigMap says, if it is about the plan of this hash.
fn details(map: &Value, hash: &str) -> Result<Details, String> {
    let key = |key: &str| map["data"][key].as_str().unwrap_or_default().to_owned();
    if key("hash") != hash {
        return Err(format!("the plan is changing: its ConfigMap is about {}: try again", key("hash")));
    }
    Ok(Details { text: key("plan.txt"), sql: key("plan.sql") })
}

/// Why there is none.
pub(super) fn nothing(store: &Store) -> String {
    let of = format!("{}/{}", store.namespace(), store.name());
    match text(&store.0, "/status/plan/phase") {
        "" => format!("no operator has planned {of} yet; `kubectl polylog check` looks for one"),
        "Failed" => format!("a step for {of} failed; `kubectl polylog status {}` says why", store.name()),
        _ => format!("nothing waits for {of}: its databases are as the manifest says"),
    }
}

fn next(store: &Store, hash: &str, flags: &str) -> String {
    let (name, namespace) = (store.name(), store.namespace());
    match store.provisioning_mode() {
        "Apply" => {
            format!("approve it: kubectl polylog approve {name} {hash} --namespace={namespace}{flags}")
        }
        mode => format!(
            "provisioning.mode is {mode}: the operator does not carry it out; whoever does takes --sql"
        ),
    }
}

impl Waiting {
    /// For people: text, and the statements below it.
    fn shown(&self) -> String {
        match &self.details {
            Ok(Details { text, sql }) => format!("{text}\n{sql}"),
            Err(why) => format!("{}\n{why}\n", self.summary()),
        }
    }

    /// The steps, as the status has them.
    pub(super) fn summary(&self) -> String {
        let mut shown = format!("plan {}\n", self.hash);
        // writing to a string cannot fail
        for step in &self.steps {
            let (class, source) = (text(step, "/class"), text(step, "/source"));
            let _ = writeln!(shown, "  {class:11} {source}: {}", text(step, "/summary"));
        }
        if self.more > 0 {
            let _ = writeln!(shown, "  and {} more", self.more);
        }
        shown
    }

    fn document(&self) -> Value {
        let (text, sql) = match &self.details {
            Ok(Details { text, sql }) => (Some(text), Some(sql)),
            Err(_) => (None, None),
        };
        let why = self.details.as_ref().err();
        json!({ "hash": self.hash, "steps": self.steps, "more": self.more, "text": text, "sql": sql, "message": why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_of_another_plan_are_not_shown_as_those_of_this_one() {
        let map = json!({ "data": { "hash": "a1", "plan.txt": "plan a1\n", "plan.sql": "DROP INDEX x;\n" } });
        assert_eq!(details(&map, "a1").expect("its own").sql, "DROP INDEX x;\n");
        let why = details(&map, "b2").expect_err("another");
        let waiting = Waiting {
            hash: "b2".into(),
            steps: vec![json!({ "class": "Destructive", "source": "ledger", "summary": "drop index x" })],
            more: 3,
            details: Err(why),
        };
        let shown = waiting.shown();
        assert!(shown.starts_with("plan b2\n  Destructive ledger: drop index x\n  and 3 more\n"), "{shown}");
        assert!(shown.contains("about a1"), "{shown}");
        assert!(!shown.contains("DROP"), "{shown}");
        assert_eq!(waiting.document()["sql"], Value::Null);
    }

    #[test]
    fn what_can_be_done_depends_on_the_mode() {
        let mut store = Store(json!({ "metadata": { "name": "payments", "namespace": "shop" }, "spec": {} }));
        assert_eq!(
            next(&store, "a1", " --context=prod"),
            "approve it: kubectl polylog approve payments a1 --namespace=shop --context=prod"
        );
        store.0["spec"]["provisioning"] = json!({ "mode": "External" });
        assert!(next(&store, "a1", "").contains("External"));
        assert!(nothing(&store).contains("no operator"));
        store.0["status"] = json!({ "plan": { "phase": "Applied" } });
        assert!(nothing(&store).contains("nothing waits for shop/payments"));
    }
}
