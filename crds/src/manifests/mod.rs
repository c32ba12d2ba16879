//! Reads a folder of manifests as `kubectl apply --validate=strict` would, without a cluster.
//!
//! Every `*.yaml`, `*.yml` and `*.json` of the folder is read, not those of its subfolders; a file may hold several
//! documents. Our kinds are checked against their definitions, `ConfigMap` and `Secret` are resolved, other kinds
//! are left out with a note.

mod data;
mod folder;
mod json;
mod metadata;
mod object;
mod problem;
mod scalar;
mod tree;
mod yaml;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use data::{ConfigMapData, SecretData};
pub use folder::{ReadError, read, read_texts};
pub use problem::{ObjectLabel, Problem, ProblemCode, Problems};
pub use scalar::{Ambiguity, Scalar, read_plain};

use crate::event_store::EventStore;
use crate::projection::Projection;
use crate::replication_strategy::ReplicationStrategy;
use crate::schema::{FieldPath, KindSchema};
use crate::values::{NamespaceName, ObjectName};

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its namespace; `default` where the manifest names none.
    pub namespace: NamespaceName,
    /// Its name.
    pub name: ObjectName,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An object with the place it was read from.
#[derive(Debug, Clone)]
pub struct Loaded<K> {
    /// The object; its namespace is filled in, its status is dropped.
    pub object: K,
    file: PathBuf,
    json: Value,
    status: Value,
    tree: tree::Node,
}

impl<K> Loaded<K> {
    /// The file it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The object as written, as JSON.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The status as written, which nothing has checked; null where there is none.
    pub fn status(&self) -> &Value {
        &self.status
    }

    /// An object that an API server has checked and given, which stands in no file.
    pub fn given(object: K, status: Value) -> Self {
        let tree = tree::Node { content: tree::Content::Null, line: None };
        Self { object, file: PathBuf::new(), json: Value::Null, status, tree }
    }

    /// The line where `path`, or the nearest thing around it, stands; from 1. `None` in JSON files.
    pub fn line_of(&self, path: &FieldPath) -> Option<usize> {
        self.tree.line_of(path)
    }
}

/// What a folder of manifests holds.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// EventStores.
    pub stores: BTreeMap<ObjectKey, Loaded<EventStore>>,
    /// ReplicationStrategies.
    pub strategies: BTreeMap<ObjectKey, Loaded<ReplicationStrategy>>,
    /// Projections.
    pub projections: BTreeMap<ObjectKey, Loaded<Projection>>,
    /// ConfigMaps.
    pub config_maps: BTreeMap<ObjectKey, ConfigMapData>,
    /// Secrets.
    pub secrets: BTreeMap<ObjectKey, SecretData>,
    /// What was left out, one line each.
    pub notes: Vec<String>,
}

impl Manifests {
    /// What is wrong with replacing `previous` by these manifests: the rules about what cannot change.
    /// Objects that only one of them has are no change.
    pub fn check_update(&self, previous: &Self) -> Vec<Problem> {
        let mut problems = Vec::new();
        check_updates(&self.stores, &previous.stores, "EventStore", KindSchema::event_store, &mut problems);
        let schema = KindSchema::replication_strategy;
        check_updates(&self.strategies, &previous.strategies, "ReplicationStrategy", schema, &mut problems);
        let schema = KindSchema::projection;
        check_updates(&self.projections, &previous.projections, "Projection", schema, &mut problems);
        problems
    }
}

/// Every document of a YAML text as JSON, whatever it holds.
///
/// # Errors
/// The first thing that no manifest may hold.
pub fn documents_as_json(text: &str) -> Result<Vec<Value>, Problems> {
    let (documents, mistake) = yaml::read(text);
    let mistakes = documents.iter().flat_map(|document| document.mistakes.iter().cloned()).chain(mistake);
    let problems = mistakes.map(|mistake| Problem {
        file: PathBuf::new(),
        line: mistake.line,
        object: None,
        path: mistake.path,
        code: mistake.code,
        message: mistake.message,
    });
    let problems = problems.collect::<Vec<_>>();
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    Ok(documents.iter().map(|document| document.root.to_json()).collect())
}

fn check_updates<K>(
    new: &BTreeMap<ObjectKey, Loaded<K>>,
    previous: &BTreeMap<ObjectKey, Loaded<K>>,
    kind: &str,
    schema: fn() -> KindSchema,
    problems: &mut Vec<Problem>,
) {
    let schema = LazyCell::new(schema);
    for (key, new) in new {
        let Some(previous) = previous.get(key) else { continue };
        problems.extend(schema.check_update(&previous.json, &new.json).into_iter().map(|violation| {
            Problem {
                file: new.file.clone(),
                line: new.line_of(&violation.path),
                object: Some(ObjectLabel { kind: kind.to_owned(), name: key.to_string() }),
                path: violation.path,
                code: violation.kind.into(),
                message: violation.message,
            }
        }));
    }
}
