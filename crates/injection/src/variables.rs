use serde_json::{Map, Value, json};

use crate::{
    names::{GRPC_VARIABLE, URL_VARIABLE},
    request::Ports,
};

/// The variables that every other container gets: where the store is.
fn variables(ports: Ports) -> [(&'static str, String); 2] {
    // by number: `localhost` is ::1 for some and 127.0.0.1 for others
    let api = ports.api;
    [(URL_VARIABLE, format!("http://127.0.0.1:{api}")), (GRPC_VARIABLE, format!("127.0.0.1:{api}"))]
}

/// Gives a container the variables that it does not have: one that its author set stays. In front, so that those behind can
/// refer to them.
pub(crate) fn add(container: &mut Map<String, Value>, ports: Ports) {
    let list = container.get("env").and_then(Value::as_array);
    let has = |name: &str| list.is_some_and(|list| list.iter().any(|variable| variable["name"] == name));
    let missing = variables(ports).into_iter().filter(|(name, _)| !has(name));
    let missing: Vec<Value> = missing.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    if missing.is_empty() {
        return;
    }
    match container.get_mut("env").and_then(Value::as_array_mut) {
        Some(list) => {
            list.splice(0..0, missing);
        }
        None => {
            container.insert("env".to_owned(), Value::Array(missing));
        }
    }
}

/// Takes away what [`add`] gave with these ports.
pub(crate) fn remove(container: &mut Map<String, Value>, ports: Ports) {
    let ours = variables(ports).map(|(name, value)| json!({ "name": name, "value": value }));
    let Some(list) = container.get_mut("env").and_then(Value::as_array_mut) else { return };
    list.retain(|variable| !ours.contains(variable));
    if list.is_empty() {
        container.remove("env");
    }
}
