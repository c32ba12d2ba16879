//! `kubectl polylog` on a real control plane, each time as a user who has the chart's roles and no others.

mod bed;
mod check;
mod plans;
mod restart;
mod status;

use serde_json::{Value, json};

use crate::bed::Bed;

/// One cluster for all: they follow each other, since starting one takes seconds.
#[test]
fn users_of_the_charts_roles_look_approve_and_restart() {
    let mut bed = Bed::start();
    check::before_an_installation(&bed);
    bed.install();
    for (user, role) in [("clerk", "polylog-view"), ("viewer", "view"), ("editor", "edit")] {
        bed.bind(user, role);
    }
    // who approves needs no more than that
    bed.bind("approver", "polylog-approve");
    bed.apply(&store());
    status::a_store_that_nobody_has_looked_at(&bed);
    tell(&bed, "a1a1a1a1a1a1a1a1");
    status::what_each_user_sees(&bed);
    plans::what_each_user_sees(&bed);
    plans::only_the_plan_that_waits_is_approved_and_only_by_who_may(&bed);
    restart::owners_are_rolled_and_others_are_told(&bed);
    check::after_an_installation(&bed);
}

fn store() -> Value {
    json!({
        "apiVersion": "polylog.dev/v1alpha1", "kind": "EventStore", "metadata": { "name": "payments" },
        "spec": { "sources": [{
            "name": "ledger", "connection": { "secretRef": { "name": "ledger-db" } }, "postgres": { "schema": "s" },
        }] },
    })
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": "",
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    })
}

/// Says of the store what an operator says while a plan waits.
fn tell(bed: &Bed, hash: &str) {
    let status = json!({
        "observedGeneration": 1, "primary": "ledger", "term": 3, "position": 184_211,
        "summary": { "sources": "1/1", "lag": "", "consistent": "", "pods": "0/0" },
        "sources": [{ "name": "ledger", "role": "Voter", "state": "InSync", "formatVersion": 1 }],
        "pods": {
            "selected": 0, "injected": 0, "outdated": 0, "restartNeeded": 0,
            "currentVersion": env!("CARGO_PKG_VERSION"),
        },
        "plan": {
            "hash": hash, "phase": "Pending", "more": 0, "detailsRef": { "name": "polylog-payments-plan" },
            "steps": [{ "source": "ledger", "class": "Destructive", "summary": "drop index polylog_mine" }],
        },
        "conditions": [
            condition("Ready", "False", "ApprovalRequired"), condition("Available", "True", "Serving"),
            condition("ApprovalRequired", "True", "PlanWaits"),
        ],
    });
    bed.set_status("eventstore", "payments", "shop", &status);
    bed.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "polylog-payments-plan" },
        "data": { "hash": hash, "plan.txt": format!("plan {hash}\n"), "plan.sql": "DROP INDEX polylog_mine;\n" },
    }));
}
