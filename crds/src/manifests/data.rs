//! ConfigMaps and Secrets: only what we resolve from them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ProblemCode;
use super::tree::{Content, Mistake, Node};
use crate::schema::FieldPath;
use crate::values::DataKey;

const MAX_BYTES: usize = 1024 * 1024;

/// The texts of a ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigMapData {
    /// Texts by key.
    pub data: BTreeMap<DataKey, String>,
    /// Bytes by key.
    pub binary_data: BTreeMap<DataKey, Vec<u8>>,
}

/// The values of a Secret. They are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretData {
    /// Bytes by key.
    pub data: BTreeMap<DataKey, Vec<u8>>,
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.data.keys()).finish()
    }
}

impl SecretData {
    /// The value of `key` as text; `None` if it is absent or no UTF-8.
    pub fn text(&self, key: &DataKey) -> Option<&str> {
        self.data.get(key).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

pub(super) fn config_map(root: &Node) -> Result<ConfigMapData, Vec<Mistake>> {
    let mut reader = Reader::new(root, &["data", "binaryData", "immutable"]);
    let data = reader.texts("data");
    let binary = reader.texts("binaryData");
    let binary_data = reader.decode("binaryData", binary);
    for key in binary_data.keys() {
        if data.contains_key(key) {
            reader.refuse(
                FieldPath::of_fields(["binaryData", key.as_str()]),
                ProblemCode::Structure,
                "is in data too",
            );
        }
    }
    reader.finish(ConfigMapData { data, binary_data })
}

pub(super) fn secret(root: &Node) -> Result<SecretData, Vec<Mistake>> {
    let mut reader = Reader::new(root, &["data", "stringData", "type", "immutable"]);
    let encoded = reader.texts("data");
    let mut data = reader.decode("data", encoded);
    // as in Kubernetes, stringData wins over data
    data.extend(reader.texts("stringData").into_iter().map(|(key, text)| (key, text.into_bytes())));
    reader.finish(SecretData { data })
}

struct Reader<'node> {
    root: &'node Node,
    bytes: usize,
    mistakes: Vec<Mistake>,
}

impl<'node> Reader<'node> {
    fn new(root: &'node Node, known: &[&str]) -> Self {
        let mut reader = Self { root, bytes: 0, mistakes: Vec::new() };
        if let Content::Object(fields) = &root.content {
            for field in fields {
                let name = field.name.as_str();
                if !["apiVersion", "kind", "metadata"].contains(&name) && !known.contains(&name) {
                    let message = format!("unknown field; known here: {}", known.join(", "));
                    reader.refuse(FieldPath::of_fields([name]), ProblemCode::UnknownField, message);
                }
            }
        }
        reader
    }

    fn texts(&mut self, name: &str) -> BTreeMap<DataKey, String> {
        let path = FieldPath::of_fields([name]);
        let fields = match self.root.get(name).map(|node| &node.content) {
            None | Some(Content::Null) => return BTreeMap::new(),
            Some(Content::Object(fields)) => fields,
            Some(_) => {
                self.refuse(path, ProblemCode::Structure, "must be an object");
                return BTreeMap::new();
            }
        };
        let mut texts = BTreeMap::new();
        for field in fields {
            let path = path.field(&field.name);
            let key = match field.name.parse::<DataKey>() {
                Ok(key) => key,
                Err(error) => {
                    self.refuse(path, ProblemCode::Structure, error.to_string());
                    continue;
                }
            };
            match &field.value.content {
                Content::Text(text) => {
                    self.bytes += text.len();
                    texts.insert(key, text.clone());
                }
                Content::Null => {
                    texts.insert(key, String::new());
                }
                _ => self.refuse(path, ProblemCode::Structure, "must be text; write it in quotes"),
            }
        }
        texts
    }

    fn decode(&mut self, name: &str, encoded: BTreeMap<DataKey, String>) -> BTreeMap<DataKey, Vec<u8>> {
        let mut decoded = BTreeMap::new();
        for (key, text) in encoded {
            let text = text.replace(['\n', '\r'], "");
            match STANDARD.decode(&text) {
                Ok(bytes) => {
                    decoded.insert(key, bytes);
                }
                Err(_) => {
                    // not the decoder's message: it would show a byte of the value
                    let path = FieldPath::of_fields([name, key.as_str()]);
                    self.refuse(
                        path,
                        ProblemCode::Structure,
                        "is no base64; plain text goes into stringData",
                    );
                }
            }
        }
        decoded
    }

    fn refuse(&mut self, path: FieldPath, code: ProblemCode, message: impl Into<String>) {
        self.mistakes.push(Mistake { code, line: self.root.line_of(&path), path, message: message.into() });
    }

    fn finish<T>(mut self, value: T) -> Result<T, Vec<Mistake>> {
        if self.bytes > MAX_BYTES {
            let message = format!("has more than {MAX_BYTES} bytes of data");
            self.refuse(FieldPath::of_fields(["data"]), ProblemCode::Structure, message);
        }
        if self.mistakes.is_empty() { Ok(value) } else { Err(self.mistakes) }
    }
}
