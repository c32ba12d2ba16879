//! A document as written, with the line of every part.

use serde_json::{Number, Value};

use super::ProblemCode;
use crate::schema::{FieldPath, Segment};

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) content: Content,
    /// From 1; `None` in JSON.
    pub(super) line: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) line: Option<usize>,
    pub(super) value: Node,
}

/// A document, and what is wrong with how it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) root: Node,
    pub(super) mistakes: Vec<Mistake>,
}

/// Something wrong with how a document is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) code: ProblemCode,
    pub(super) line: Option<usize>,
    pub(super) path: FieldPath,
    pub(super) message: String,
}

impl Node {
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Object(fields) => Value::Object(
                fields.iter().map(|field| (field.name.clone(), field.value.to_json())).collect(),
            ),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.field(name).map(|field| &field.value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The line of what stands at `path`, or of the nearest thing around it.
    pub(super) fn line_of(&self, path: &FieldPath) -> Option<usize> {
        let mut node = self;
        let mut line = self.line;
        for segment in path.segments() {
            let next = match (segment, &node.content) {
                (Segment::Field(name), Content::Object(_)) => {
                    node.field(name).map(|field| (&field.value, field.line))
                }
                (Segment::Item(index), Content::List(items)) => {
                    items.get(*index).map(|item| (item, item.line))
                }
                _ => None,
            };
            let Some((next, next_line)) = next else { break };
            node = next;
            line = next_line;
        }
        line
    }

    fn field(&self, name: &str) -> Option<&Field> {
        match &self.content {
            Content::Object(fields) => fields.iter().find(|field| field.name == name),
            _ => None,
        }
    }
}
