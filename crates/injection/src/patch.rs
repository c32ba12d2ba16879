use serde_json::{Value, json};

/// What injection may change, each taken whole.
const PLACES: [&str; 4] =
    ["/metadata/annotations", "/spec/containers", "/spec/initContainers", "/spec/volumes"];

/// The JSON patch (RFC 6902) that makes `after` of `before`, where injection made it so.
pub fn json_patch(before: &Value, after: &Value) -> Vec<Value> {
    let changed = PLACES.iter().filter_map(|place| {
        let value = after.pointer(place).filter(|value| before.pointer(place) != Some(value))?;
        // an `add` to a member that is there replaces it
        Some(json!({ "op": "add", "path": place, "value": value }))
    });
    changed.collect()
}
