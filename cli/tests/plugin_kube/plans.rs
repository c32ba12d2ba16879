use serde_json::Value;

use crate::bed::{Bed, done, text, until};

const HASH: &str = "a1a1a1a1a1a1a1a1";

pub fn what_each_user_sees(bed: &Bed) {
    let sql = done(&bed.polylog(&["plan", "payments", "--sql", "--as=viewer"]));
    assert_eq!(sql, "DROP INDEX polylog_mine;\n");
    let shown = done(&bed.polylog(&["plan", "payments", "--as=viewer"]));
    assert!(shown.starts_with("plan a1a1") && shown.contains("DROP INDEX"), "{shown}");
    let shown = done(&bed.polylog(&["plan", "payments", "--as=clerk"]));
    assert!(shown.contains("drop index polylog_mine") && shown.contains("cannot be shown"), "{shown}");
    let refused = bed.polylog(&["plan", "payments", "--sql", "--as=clerk"]);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), String::new()));
}

fn approved(bed: &Bed) -> Value {
    bed.get("eventstore", "payments")["metadata"]["annotations"]["polylog.dev/approve-plan"].clone()
}

pub fn only_the_plan_that_waits_is_approved_and_only_by_who_may(bed: &Bed) {
    // the API server takes a moment to know the policy
    until("policy", || {
        let annotation = "polylog.dev/approve-plan=a1a1a1a1a1a1a1a1";
        let to = ["auth", "can-i", "patch", "eventstores", "--namespace=shop", "--as=editor"];
        assert_eq!(bed.kubectl(&to).trim(), "yes");
        let tried = bed.try_kubectl(&[
            "annotate",
            "eventstore",
            "payments",
            annotation,
            "--namespace=shop",
            "--as=editor",
            "--dry-run=server",
        ]);
        (!tried.status.success()).then_some(())
    });
    for user in ["clerk", "viewer", "editor"] {
        let refused = bed.polylog(&["approve", "payments", HASH, &format!("--as={user}")]);
        assert_eq!(refused.status.code(), Some(1), "{user}");
        assert!(text(&refused.stderr).contains("polylog-approve"), "{user}: {}", text(&refused.stderr));
    }
    let other = bed.polylog(&["approve", "payments", "b2b2b2b2b2b2b2b2", "--as=approver"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stderr).contains("which is a1a1a1a1a1a1a1a1"), "{}", text(&other.stderr));
    let unasked = bed.polylog(&["approve", "payments", "--as=approver"]);
    assert_eq!(unasked.status.code(), Some(2), "nobody can be asked");
    assert_eq!(approved(bed), Value::Null);

    // the plan becomes another one between the look and the approval
    let patch = r#"'{"status":{"plan":{"hash":"c3c3c3c3c3c3c3c3"}}}'"#;
    let change = format!(
        "patch eventstore payments --namespace=shop --subresource=status --type=merge --patch {patch}"
    );
    let meddling = bed.meddling(&change);
    let raced = bed.polylog_with(&["approve", "payments", HASH, "--as=approver"], meddling.path());
    assert_eq!(raced.status.code(), Some(1), "{}", text(&raced.stdout));
    assert!(text(&raced.stderr).contains("which is c3c3c3c3c3c3c3c3"), "{}", text(&raced.stderr));
    assert_eq!(approved(bed), Value::Null);
    // something else changes: the same plan still waits
    let meddling = bed.meddling("label eventstore payments --namespace=shop team=ledger");
    let said =
        bed.polylog_with(&["approve", "payments", "c3c3c3c3c3c3c3c3", "--as=approver"], meddling.path());
    assert_eq!(done(&said), "approved plan c3c3c3c3c3c3c3c3 of shop/payments\n");
    assert_eq!(approved(bed), "c3c3c3c3c3c3c3c3");
    let again = bed.polylog(&["approve", "payments", "c3c3c3c3c3c3c3c3", "--as=approver"]);
    assert!(done(&again).contains("already"));
    // an editor may change everything else
    let label = ["label", "eventstore", "payments", "--namespace=shop", "--as=editor", "tier=gold"];
    bed.kubectl(&label);
}
