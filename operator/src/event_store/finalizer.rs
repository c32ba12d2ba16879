//! What keeps a deleted EventStore until its databases are wiped. It stands only where `deletionPolicy: Delete` asks for
//! that, from just before something is written into a database.

use kube::api::{ObjectMeta, Patch, PatchParams};
use polylog_crds::{EventStore, event_store::DeletionPolicy, manifests::ObjectKey};
use serde_json::{Value, json};

use super::{EventStores, Guarded, namespaced};
use crate::names::{FINALIZER, FORCE_DELETE};

/// Whether its author wants the databases wiped.
pub(super) fn is_wanted(store: &EventStore) -> bool {
    store.spec.deletion_policy == Some(DeletionPolicy::Delete)
}

/// Whether it stands.
pub(super) fn stands(meta: &ObjectMeta) -> bool {
    place(meta).is_some()
}

/// Whether somebody would rather have the EventStore gone than its databases wiped.
pub(super) fn is_forced(meta: &ObjectMeta) -> bool {
    let value = meta.annotations.as_ref().and_then(|annotations| annotations.get(FORCE_DELETE));
    value.is_some_and(|value| value != "false")
}

fn place(meta: &ObjectMeta) -> Option<usize> {
    meta.finalizers.as_deref()?.iter().position(|finalizer| finalizer == FINALIZER)
}

/// Operations that fail if somebody else changed the list since; none where nothing is to be done.
fn change(meta: &ObjectMeta, wanted: bool) -> Option<Value> {
    match (place(meta), wanted) {
        (None, false) | (Some(_), true) => None,
        (Some(place), false) => {
            let path = format!("/metadata/finalizers/{place}");
            let test = json!({ "op": "test", "path": path, "value": FINALIZER });
            Some(json!([test, { "op": "remove", "path": path }]))
        }
        (None, true) => {
            let path = "/metadata/finalizers";
            let before = meta.finalizers.clone().unwrap_or_default();
            let test =
                json!({ "op": "test", "path": path, "value": (!before.is_empty()).then_some(&before) });
            let all: Vec<&str> = before.iter().map(String::as_str).chain([FINALIZER]).collect();
            Some(json!([test, { "op": "add", "path": path, "value": all }]))
        }
    }
}

impl EventStores {
    /// Makes it stand or not; a store that is gone is no mistake.
    pub(super) async fn finalize(
        &self,
        key: &ObjectKey,
        meta: &ObjectMeta,
        wanted: bool,
    ) -> Result<(), kube::Error> {
        let Some(change) = change(meta, wanted) else { return Ok(()) };
        let operations = serde_json::from_value(change).expect("operations of JSON Patch");
        self.context.metrics.wrote("EventStore");
        let api = namespaced::<Guarded>(&self.context, key);
        let patch = Patch::<()>::Json(operations);
        match api.patch(key.name.as_str(), &PatchParams::default(), &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(finalizers: &[&str]) -> ObjectMeta {
        let finalizers: Vec<String> = finalizers.iter().map(|name| (*name).to_owned()).collect();
        ObjectMeta { finalizers: (!finalizers.is_empty()).then_some(finalizers), ..ObjectMeta::default() }
    }

    #[test]
    fn it_comes_and_goes_beside_those_of_others() {
        let (none, other) = (meta(&[]), meta(&["other/one"]));
        let both = meta(&["other/one", FINALIZER]);
        assert!(stands(&both) && !stands(&other));
        assert_eq!((change(&none, false), change(&both, true)), (None, None));
        let added = change(&none, true).expect("a change");
        assert_eq!(added[0]["value"], Value::Null, "nobody else's is there");
        assert_eq!(added[1]["value"], json!([FINALIZER]));
        let added = change(&other, true).expect("a change");
        assert_eq!((&added[0]["value"], &added[1]["value"][0]), (&json!(["other/one"]), &json!("other/one")));
        let removed = change(&both, false).expect("a change");
        assert_eq!(removed[1], json!({ "op": "remove", "path": "/metadata/finalizers/1" }));
    }

    #[test]
    fn a_store_is_let_go_by_an_annotation_but_not_by_its_contrary() {
        let annotated = |value: &str| ObjectMeta {
            annotations: Some([(FORCE_DELETE.to_owned(), value.to_owned())].into()),
            ..ObjectMeta::default()
        };
        assert!(is_forced(&annotated("true")) && is_forced(&annotated("")));
        assert!(!is_forced(&annotated("false")) && !is_forced(&ObjectMeta::default()));
    }
}
