use std::collections::BTreeMap;

use polylog_crds::{CaRefKind, event_store::Connection, values::DataKey};
use serde_json::{Value, json};

use super::Wanted;
use crate::names;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    ConfigMap(String),
    Secret(String),
}

/// What the gateway finds below `/etc/polylog`. Everything is optional: the gateway starts without it, and waits and says
/// what is missing. What provisions is never mounted.
pub(super) fn configuration(wanted: &Wanted<'_>) -> Value {
    let mut objects: BTreeMap<Object, Vec<(String, String)>> = BTreeMap::new();
    let mut add = |object, key: &str, path: String| {
        objects.entry(object).or_default().push((key.to_owned(), path));
    };
    for file in ["eventstore.yaml", "strategy.yaml"] {
        add(Object::ConfigMap(names::of_store(&wanted.owner.key)), file, format!("store/{file}"));
    }
    if let Some((name, keys)) = wanted.schemas {
        for key in keys {
            let object = Object::ConfigMap(name.as_str().to_owned());
            add(object, key.as_str(), format!("store/schemas/{}", key.as_str()));
        }
    }
    for source in &wanted.store.sources {
        for (object, key, file) in files(&source.connection) {
            add(object, &key, format!("sources/{}/{file}", source.name.as_str()));
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

/// Where the parts of a connection stand, and as which file they are mounted.
fn files(connection: &Connection) -> Vec<(Object, String, &'static str)> {
    let mut files = Vec::new();
    let key = |key: Option<&DataKey>, default: &str| key.map_or(default, DataKey::as_str).to_owned();
    let secret = |name: &polylog_crds::values::ObjectName| Object::Secret(name.as_str().to_owned());
    if let Some(reference) = &connection.secret_ref {
        files.push((secret(&reference.name), key(reference.key.as_ref(), "url"), "url"));
    }
    if let Some(auth) = &connection.auth {
        let name = &auth.secret_ref.name;
        files.push((secret(name), key(auth.username_key.as_ref(), "username"), "username"));
        files.push((secret(name), key(auth.password_key.as_ref(), "password"), "password"));
    }
    let tls = connection.tls.as_ref();
    if let Some(ca) = tls.and_then(|tls| tls.ca_ref.as_ref()) {
        let object = match ca.kind {
            Some(CaRefKind::Secret) => secret(&ca.name),
            Some(CaRefKind::ConfigMap) | None => Object::ConfigMap(ca.name.as_str().to_owned()),
        };
        files.push((object, key(ca.key.as_ref(), "ca.crt"), "ca.crt"));
    }
    if let Some(certificate) = tls.and_then(|tls| tls.client_cert_ref.as_ref()) {
        for file in ["tls.crt", "tls.key"] {
            files.push((secret(&certificate.name), file.to_owned(), file));
        }
    }
    files
}
