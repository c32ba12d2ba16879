use polylog_api::{Code, Problem, is_json};
use polylog_log::Commit;

use crate::policy::{Schemas, ValidationMode, Violation};

/// Checks every event's data against the schema of its type. Violations are refused or returned, as the mode says.
pub(super) fn check(schemas: &Schemas, commit: &Commit) -> Result<Vec<Violation>, Problem> {
    let mut warnings = Vec::new();
    for (index, event) in commit.events().enumerate() {
        let is_json = is_json(&event.content_type);
        let Err(violation) = schemas.check(event.event_type.as_str(), is_json, &event.data) else { continue };
        if schemas.mode() == ValidationMode::Enforce {
            return Err(refused(index, &violation));
        }
        warnings.push(violation);
    }
    Ok(warnings)
}

fn refused(index: usize, violation: &Violation) -> Problem {
    let Violation { event_type, pointer, keyword } = violation;
    let detail = match keyword.as_str() {
        "unknownTypes" => format!("event {index}: the store has no schema for type {event_type}"),
        "contentType" => format!("event {index}: type {event_type} has a schema, so its data must be JSON"),
        "representable" => {
            format!(
                "event {index}: data of type {event_type} holds values that no schema can be checked against"
            )
        }
        keyword if pointer.is_empty() => {
            format!("event {index}: data of type {event_type} breaks {keyword:?} of its schema")
        }
        keyword => {
            format!("event {index}: data of type {event_type} breaks {keyword:?} of its schema at {pointer}")
        }
    };
    Problem::new(Code::SchemaViolation, detail)
        .next_step("correct the data, or have the schema of its type changed")
        .fact("event", index)
        .fact("type", event_type)
        .fact("pointer", pointer)
        .fact("keyword", keyword)
}
