use std::collections::BTreeMap;

use polylog_injection::{Object, connection_files};
use serde_json::{Value, json};

use super::Wanted;
use crate::names;

/// What the gateway finds below `/etc/polylog`. Everything is optional: the gateway starts without it, and waits and says
/// what is missing. What provisions is never mounted.
pub(super) fn configuration(wanted: &Wanted<'_>) -> Value {
    let mut objects: BTreeMap<Object, Vec<(String, String)>> = BTreeMap::new();
    let mut add = |object, key: &str, path: String| {
        objects.entry(object).or_default().push((key.to_owned(), path));
    };
    for file in ["eventstore.yaml", "strategy.yaml", "issuer", "jwks.json"] {
        add(Object::ConfigMap(names::of_store(&wanted.owner.key)), file, format!("store/{file}"));
    }
    if let Some(secret) = &wanted.entrance.secret {
        for file in ["tls.crt", "tls.key"] {
            add(Object::Secret(secret.clone()), file, format!("store/{file}"));
        }
    }
    if let Some((name, keys)) = wanted.schemas {
        for key in keys {
            let object = Object::ConfigMap(name.as_str().to_owned());
            add(object, key.as_str(), format!("store/schemas/{}", key.as_str()));
        }
    }
    for source in &wanted.store.sources {
        for file in connection_files(source.name.as_str(), &source.connection) {
            add(file.object, &file.key, file.path);
        }
    }
    let sources: Vec<Value> =
        objects.into_iter().map(|(object, items)| projection(&object, &items)).collect();
    json!({ "sources": sources })
}

fn projection(object: &Object, items: &[(String, String)]) -> Value {
    let items: Vec<Value> = items.iter().map(|(key, path)| json!({ "key": key, "path": path })).collect();
    match object {
        Object::ConfigMap(name) => json!({ "configMap": { "name": name, "items": items, "optional": true } }),
        Object::Secret(name) => json!({ "secret": { "name": name, "items": items, "optional": true } }),
    }
}
