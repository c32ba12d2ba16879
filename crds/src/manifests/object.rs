//! Turns one document into an object of our kinds.

use std::path::Path;

use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::tree::{Mistake, Node};
use super::{Loaded, ObjectKey, ProblemCode};
use crate::schema::{FieldPath, KindSchema, prune_nulls};

/// The object in `root`, or what is wrong with it.
pub(super) fn load<K>(
    root: Node,
    key: &ObjectKey,
    schema: &KindSchema,
    file: &Path,
) -> Result<Loaded<K>, Vec<Mistake>>
where
    K: DeserializeOwned + Resource<DynamicType = ()>,
{
    let mut json = root.to_json();
    prune_nulls(schema.document(), &mut json);
    // written by the controllers alone; an API server drops it from what users apply
    let status = match &mut json {
        Value::Object(fields) => fields.remove("status"),
        _ => None,
    };
    let violations = schema.check(&json);
    if !violations.is_empty() {
        let mistakes = violations.into_iter().map(|violation| Mistake {
            code: violation.kind.into(),
            line: root.line_of(&violation.path),
            path: violation.path,
            message: violation.message,
        });
        return Err(mistakes.collect());
    }
    let mut object: K = serde_json::from_value(json.clone()).map_err(|error| {
        // the schema admits a little more than the types, for example sizes beyond 64 bits
        let path = FieldPath::of_fields(["spec"]);
        vec![Mistake {
            code: ProblemCode::Structure,
            line: root.line_of(&path),
            path,
            message: error.to_string(),
        }]
    })?;
    object.meta_mut().namespace = Some(key.namespace.to_string());
    Ok(Loaded { object, file: file.to_owned(), json, status: status.unwrap_or_default(), tree: root })
}
