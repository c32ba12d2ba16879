use std::fmt::Write as _;

use serde_json::json;

use super::{Built, Kind, Owner};
use crate::{event_store::provision::StorePlan, names};

/// The plan with every step, for people and as statements for whoever carries it out; `None` where nothing is to do.
pub(crate) fn plan_map(owner: &Owner, plan: &StorePlan) -> Option<Built> {
    if plan.is_empty() {
        return None;
    }
    let (mut text, mut sql) = (String::new(), String::new());
    // writing to a string cannot fail
    let _ = writeln!(text, "plan {}", plan.hash());
    for source in &plan.sources {
        let _ = writeln!(text, "\nsource {}: {}", source.source, source.place);
        let _ = writeln!(sql, "-- source {}: {}", source.source, source.place);
        for (number, step) in source.plan.steps.iter().enumerate() {
            let _ = writeln!(text, "  {:>3}. {:11} {}", number + 1, step.class, step.summary);
        }
        let _ = writeln!(sql, "{}", source.plan);
    }
    let data = json!({ "hash": plan.hash(), "plan.txt": text, "plan.sql": sql });
    Some(owner.built(Kind::ConfigMap, names::of_plan(&owner.key), json!({ "data": data })))
}
