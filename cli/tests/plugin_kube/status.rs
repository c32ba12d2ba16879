use serde_json::Value;

use crate::bed::{Bed, done, text};

pub fn a_store_that_nobody_has_looked_at(bed: &Bed) {
    let shown = done(&bed.polylog(&["status", "--as=clerk"]));
    assert!(shown.contains("payments") && shown.contains("no operator has looked"), "{shown}");
}

pub fn what_each_user_sees(bed: &Bed) {
    let overview = done(&bed.polylog(&["status", "--as=clerk", "-o", "wide"]));
    assert!(overview.contains("ApprovalRequired") && overview.contains("a1a1a1a1a1a1a1a1"), "{overview}");
    let none = bed.polylog(&["status", "-l", "team=other"]);
    assert!(done(&none).is_empty() && text(&none.stderr).contains("no EventStores"));

    // the kinds alone: what else there is, is said to be unseen
    let shown = done(&bed.polylog(&["status", "payments", "--as=clerk"]));
    assert!(shown.contains("184211") && shown.contains("pods cannot be listed"), "{shown}");
    let shown = done(&bed.polylog(&["status", "payments", "--as=viewer"]));
    assert!(shown.contains("no pod asks for its sidecar"), "{shown}");
    assert!(
        shown.contains("kubectl polylog approve payments a1a1a1a1a1a1a1a1 --namespace=shop --as=viewer"),
        "{shown}"
    );

    let json: Value =
        serde_json::from_str(&done(&bed.polylog(&["status", "payments", "-o", "json"]))).expect("JSON");
    assert_eq!(json["status"]["position"], 184_211);
    let yaml: Value =
        serde_saphyr::from_str(&done(&bed.polylog(&["status", "-A", "-o", "yaml"]))).expect("YAML");
    assert_eq!(yaml[0]["name"], "payments");

    let missing = bed.polylog(&["status", "orders"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("\"orders\" not found"), "{}", text(&missing.stderr));
    let nobody = bed.polylog(&["status", "payments", "--as=nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("cannot get resource"), "{}", text(&nobody.stderr));
}
