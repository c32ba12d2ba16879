//! What an API server demands of `metadata`.

use std::sync::LazyLock;

use regex::Regex;

use super::ProblemCode;
use super::tree::{Content, Mistake, Node};
use crate::schema::FieldPath;
use crate::values::{LabelValue, NamespaceName, ObjectName};

use super::ObjectKey;

/// Fields that a manifest may carry, also those that only a server fills in: they come with `kubectl get -o yaml`.
const KNOWN: [&str; 14] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "uid",
];
const DEFAULT_NAMESPACE: &str = "default";
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// The key of an object, or what is wrong with its metadata.
pub(super) fn check(root: &Node) -> Result<ObjectKey, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let path = FieldPath::of_fields(["metadata"]);
    let Some(metadata) = root.get("metadata") else {
        return Err(vec![mistake(root, path, ProblemCode::Structure, "is required")]);
    };
    let Content::Object(fields) = &metadata.content else {
        return Err(vec![mistake(root, path, ProblemCode::Structure, "must be an object")]);
    };
    for field in fields {
        if !KNOWN.contains(&field.name.as_str()) {
            let message = format!("unknown field; known here: {}", KNOWN.join(", "));
            mistakes.push(mistake(root, path.field(&field.name), ProblemCode::UnknownField, message));
        }
    }
    if metadata.get("generateName").is_some() {
        let message = "only a server can choose a name; give one";
        mistakes.push(mistake(root, path.field("generateName"), ProblemCode::Metadata, message));
    }
    let name = text_field(root, metadata, "name", &mut mistakes).or_else(|| {
        if metadata.get("name").is_none() {
            mistakes.push(mistake(root, path.field("name"), ProblemCode::Structure, "is required"));
        }
        None
    });
    let name = name.and_then(|name| match name.parse::<ObjectName>() {
        Ok(name) => Some(name),
        Err(error) => {
            mistakes.push(mistake(root, path.field("name"), ProblemCode::Metadata, error.to_string()));
            None
        }
    });
    let namespace = text_field(root, metadata, "namespace", &mut mistakes);
    let namespace = match namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE).parse::<NamespaceName>() {
        Ok(namespace) => Some(namespace),
        Err(error) => {
            mistakes.push(mistake(root, path.field("namespace"), ProblemCode::Metadata, error.to_string()));
            None
        }
    };
    check_labels(root, metadata, &mut mistakes);
    check_annotations(root, metadata, &mut mistakes);
    match (namespace, name) {
        (Some(namespace), Some(name)) if mistakes.is_empty() => Ok(ObjectKey { namespace, name }),
        _ => Err(mistakes),
    }
}

fn text_field(root: &Node, metadata: &Node, name: &str, mistakes: &mut Vec<Mistake>) -> Option<String> {
    let field = metadata.get(name)?;
    match &field.content {
        Content::Text(text) => Some(text.clone()),
        Content::Null => None,
        _ => {
            let path = FieldPath::of_fields(["metadata", name]);
            mistakes.push(mistake(root, path, ProblemCode::Structure, "must be text; write it in quotes"));
            None
        }
    }
}

fn check_labels(root: &Node, metadata: &Node, mistakes: &mut Vec<Mistake>) {
    for (key, value, path) in texts(root, metadata, "labels", mistakes) {
        if !is_qualified_name(&key) {
            mistakes.push(mistake(
                root,
                path.clone(),
                ProblemCode::Metadata,
                "is no label's name: [prefix/]name",
            ));
        }
        if let Err(error) = value.parse::<LabelValue>() {
            mistakes.push(mistake(root, path, ProblemCode::Metadata, error.to_string()));
        }
    }
}

fn check_annotations(root: &Node, metadata: &Node, mistakes: &mut Vec<Mistake>) {
    let mut bytes = 0;
    for (key, value, path) in texts(root, metadata, "annotations", mistakes) {
        bytes += key.len() + value.len();
        if !is_qualified_name(&key.to_ascii_lowercase()) {
            mistakes.push(mistake(
                root,
                path,
                ProblemCode::Metadata,
                "is no annotation's name: [prefix/]name",
            ));
        }
    }
    if bytes > MAX_ANNOTATION_BYTES {
        let message = format!("annotations have more than {MAX_ANNOTATION_BYTES} bytes");
        let path = FieldPath::of_fields(["metadata", "annotations"]);
        mistakes.push(mistake(root, path, ProblemCode::Metadata, message));
    }
}

fn texts(
    root: &Node,
    metadata: &Node,
    name: &str,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, String, FieldPath)> {
    let path = FieldPath::of_fields(["metadata", name]);
    let fields = match metadata.get(name).map(|node| &node.content) {
        None | Some(Content::Null) => return Vec::new(),
        Some(Content::Object(fields)) => fields,
        Some(_) => {
            mistakes.push(mistake(root, path, ProblemCode::Structure, "must be an object"));
            return Vec::new();
        }
    };
    let mut texts = Vec::new();
    for field in fields {
        let path = path.field(&field.name);
        match &field.value.content {
            Content::Text(text) => texts.push((field.name.clone(), text.clone(), path)),
            _ => {
                mistakes.push(mistake(root, path, ProblemCode::Structure, "must be text; write it in quotes"))
            }
        }
    }
    texts
}

fn is_qualified_name(key: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
            .expect("a constant pattern, compiled by the tests")
    });
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    name.len() <= 63
        && NAME.is_match(name)
        && prefix.is_none_or(|prefix| prefix.parse::<ObjectName>().is_ok())
}

fn mistake(root: &Node, path: FieldPath, code: ProblemCode, message: impl Into<String>) -> Mistake {
    Mistake { code, line: root.line_of(&path), path, message: message.into() }
}
