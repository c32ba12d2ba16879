//! Finds the files of a folder and sorts their documents by kind.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kube::Resource;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::tree::{Content, Document, Mistake, Node};
use super::{Loaded, Manifests, ObjectKey, ObjectLabel, Problem, ProblemCode, Problems};
use super::{data, json, metadata, object, yaml};
use crate::schema::{FieldPath, KindSchema};

const GROUP: &str = "polylog.dev";
const API_VERSION: &str = "polylog.dev/v1alpha1";
/// A larger file is no manifest.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Manifests could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A file or folder could not be read; check that it exists and may be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The manifests hold mistakes; each says what to change.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Reads the manifests of a folder, or of one file.
///
/// # Errors
/// Every mistake of every file at once; nothing is returned then.
pub fn read(path: &Path) -> Result<Manifests, ReadError> {
    let mut reading = Reading::default();
    for file in files(path)? {
        reading.file(&file)?;
    }
    if reading.problems.is_empty() { Ok(reading.manifests) } else { Err(Problems(reading.problems).into()) }
}

/// Reads manifests whose texts are known, each with the name of the file that messages show.
///
/// # Errors
/// Every mistake of every text at once; nothing is returned then.
pub fn read_texts<'text>(
    texts: impl IntoIterator<Item = (&'text Path, &'text str)>,
) -> Result<Manifests, Problems> {
    let mut reading = Reading::default();
    for (file, text) in texts {
        reading.text(file, text);
    }
    if reading.problems.is_empty() { Ok(reading.manifests) } else { Err(Problems(reading.problems)) }
}

/// The manifests' files, in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension)) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[derive(Default)]
struct Reading {
    schemas: Schemas,
    manifests: Manifests,
    problems: Vec<Problem>,
}

/// The checks of the kinds that were met.
#[derive(Default)]
struct Schemas {
    event_store: OnceCell<KindSchema>,
    replication_strategy: OnceCell<KindSchema>,
    projection: OnceCell<KindSchema>,
}

impl Reading {
    fn file(&mut self, file: &Path) -> Result<(), ReadError> {
        let failed = |source| ReadError::Io { path: file.to_owned(), source };
        if std::fs::metadata(file).map_err(failed)?.len() > MAX_FILE_BYTES {
            self.refuse(file, None, syntax(format!("more than {MAX_FILE_BYTES} bytes")));
            return Ok(());
        }
        let Ok(text) = String::from_utf8(std::fs::read(file).map_err(failed)?) else {
            self.refuse(file, None, syntax("is no UTF-8".to_owned()));
            return Ok(());
        };
        self.text(file, &text);
        Ok(())
    }

    fn text(&mut self, file: &Path, text: &str) {
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        let (documents, mistake) = if is_json { json::read(text) } else { yaml::read(text) };
        for document in documents {
            self.document(file, document);
        }
        if let Some(mistake) = mistake {
            self.refuse(file, None, mistake);
        }
    }

    fn document(&mut self, file: &Path, document: Document) {
        let Document { root, mistakes } = document;
        if root.content == Content::Null {
            return;
        }
        let (Some(api_version), Some(kind)) = (root.text("apiVersion"), root.text("kind")) else {
            let mistake = Mistake {
                code: ProblemCode::Structure,
                line: root.line,
                path: FieldPath::root(),
                message: "an object needs apiVersion and kind".to_owned(),
            };
            self.refuse(file, None, mistake);
            return;
        };
        let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
        let ours = api_version.split('/').next() == Some(GROUP);
        let read = ours || (api_version == "v1" && ["ConfigMap", "Secret", "List"].contains(&kind.as_str()));
        if !read {
            let name =
                root.get("metadata").and_then(|metadata| metadata.text("name")).unwrap_or("without a name");
            self.manifests.notes.push(format!("{}: {kind} {name} is left out", place(file, root.line)));
            return;
        }
        if kind == "List" {
            self.list(file, root, mistakes);
            return;
        }
        let key = match metadata::check(&root) {
            Ok(key) => key,
            Err(found) => {
                let name =
                    root.get("metadata").and_then(|metadata| metadata.text("name")).unwrap_or("?").to_owned();
                let label = ObjectLabel { kind, name };
                self.refuse_all(file, &label, mistakes.into_iter().chain(found));
                return;
            }
        };
        let label = ObjectLabel { kind: kind.clone(), name: key.to_string() };
        if !mistakes.is_empty() {
            self.refuse_all(file, &label, mistakes);
            return;
        }
        let line = root.line;
        let taken = match (api_version.as_str(), kind.as_str()) {
            (API_VERSION, "EventStore") => {
                let schema = self.schemas.event_store.get_or_init(KindSchema::event_store);
                load(root, key, schema, file, &mut self.manifests.stores)
            }
            (API_VERSION, "ReplicationStrategy") => {
                let schema = self.schemas.replication_strategy.get_or_init(KindSchema::replication_strategy);
                load(root, key, schema, file, &mut self.manifests.strategies)
            }
            (API_VERSION, "Projection") => {
                let schema = self.schemas.projection.get_or_init(KindSchema::projection);
                load(root, key, schema, file, &mut self.manifests.projections)
            }
            ("v1", "ConfigMap") => {
                data::config_map(&root).map(|data| self.manifests.config_maps.insert(key, data).is_none())
            }
            ("v1", "Secret") => {
                data::secret(&root).map(|data| self.manifests.secrets.insert(key, data).is_none())
            }
            _ => {
                let message = format!(
                    "{api_version} has no kind {kind}: there are EventStore, ReplicationStrategy and Projection of \
                     {API_VERSION}"
                );
                let path = FieldPath::of_fields(["kind"]);
                Err(vec![Mistake {
                    code: ProblemCode::UnknownKind,
                    line: root.line_of(&path),
                    path,
                    message,
                }])
            }
        };
        match taken {
            Ok(true) => {}
            Ok(false) => {
                let message = "is defined twice; remove one".to_owned();
                let path = FieldPath::root();
                self.refuse_all(
                    file,
                    &label,
                    [Mistake { code: ProblemCode::DuplicateObject, line, path, message }],
                );
            }
            Err(found) => self.refuse_all(file, &label, found),
        }
    }

    fn list(&mut self, file: &Path, root: Node, mistakes: Vec<Mistake>) {
        for mistake in mistakes {
            self.refuse(file, None, mistake);
        }
        let items = match root.content {
            Content::Object(fields) => fields.into_iter().find(|field| field.name == "items"),
            _ => None,
        };
        match items.map(|items| items.value.content) {
            Some(Content::List(items)) => {
                for root in items {
                    self.document(file, Document { root, mistakes: Vec::new() });
                }
            }
            _ => self.refuse(file, None, syntax("a List needs items".to_owned())),
        }
    }

    fn refuse_all(&mut self, file: &Path, label: &ObjectLabel, mistakes: impl IntoIterator<Item = Mistake>) {
        for mistake in mistakes {
            self.refuse(file, Some(label.clone()), mistake);
        }
    }

    fn refuse(&mut self, file: &Path, object: Option<ObjectLabel>, mistake: Mistake) {
        let Mistake { code, line, path, message } = mistake;
        self.problems.push(Problem { file: file.to_owned(), line, object, path, code, message });
    }
}

/// Whether the object was the first of its name.
fn load<K>(
    root: Node,
    key: ObjectKey,
    schema: &KindSchema,
    file: &Path,
    objects: &mut BTreeMap<ObjectKey, Loaded<K>>,
) -> Result<bool, Vec<Mistake>>
where
    K: DeserializeOwned + Resource<DynamicType = ()>,
{
    let loaded = object::load(root, &key, schema, file)?;
    Ok(objects.insert(key, loaded).is_none())
}

fn place(file: &Path, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{}:{line}", file.display()),
        None => file.display().to_string(),
    }
}

fn syntax(message: String) -> Mistake {
    Mistake { code: ProblemCode::Syntax, line: None, path: FieldPath::root(), message }
}
