//! Reads JSON into the same tree as YAML. It has no lines, but duplicate fields are found.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::ProblemCode;
use super::tree::{Content, Document, Field, Mistake, Node};
use crate::schema::FieldPath;

/// Every document of `text` up to the first syntax error, and that error.
pub(super) fn read(text: &str) -> (Vec<Document>, Option<Mistake>) {
    let mut documents = Vec::new();
    for root in serde_json::Deserializer::from_str(text).into_iter::<Node>() {
        match root {
            Ok(root) => {
                let mut mistakes = Vec::new();
                find_duplicates(&root, &FieldPath::root(), &mut mistakes);
                documents.push(Document { root, mistakes });
            }
            Err(error) => {
                let mistake = Mistake {
                    code: ProblemCode::Syntax,
                    line: Some(error.line()),
                    path: FieldPath::root(),
                    message: error.to_string(),
                };
                return (documents, Some(mistake));
            }
        }
    }
    (documents, None)
}

fn find_duplicates(node: &Node, path: &FieldPath, mistakes: &mut Vec<Mistake>) {
    match &node.content {
        Content::Object(fields) => {
            let mut seen = HashSet::new();
            for field in fields {
                let path = path.field(&field.name);
                if !seen.insert(&field.name) {
                    mistakes.push(Mistake {
                        code: ProblemCode::DuplicateKey,
                        line: None,
                        path: path.clone(),
                        message: "stands here twice".to_owned(),
                    });
                }
                find_duplicates(&field.value, &path, mistakes);
            }
        }
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                find_duplicates(item, &path.item(index), mistakes);
            }
        }
        Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {}
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyJson;
        impl<'de> Visitor<'de> for AnyJson {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
                Ok(Content::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
                Ok(Content::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
                Ok(Content::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
                Ok(Number::from_f64(value).map_or(Content::Null, Content::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Content, E> {
                Ok(Content::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Content::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = entries.next_entry()? {
                    fields.push(Field { name, line: None, value });
                }
                Ok(Content::Object(fields))
            }
        }
        deserializer.deserialize_any(AnyJson).map(|content| Node { content, line: None })
    }
}
