//! Reads YAML into a tree that remembers lines, and finds what its readers may disagree about.

use std::collections::HashMap;

use serde_json::Number;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::ProblemCode;
use super::scalar::{Scalar, read_plain};
use super::tree::{Content, Document, Field, Mistake, Node};
use crate::schema::FieldPath;

/// A file with more parts than this, aliases written out, is no manifest.
const MAX_NODES: usize = 100_000;
/// A document nested deeper than this is no manifest.
const MAX_DEPTH: usize = 64;

/// Every document of `text` up to the first syntax error, and that error.
pub(super) fn read(text: &str) -> (Vec<Document>, Option<Mistake>) {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        mistakes: Vec::new(),
    };
    let mut documents = Vec::new();
    loop {
        match reader.next_document() {
            Ok(Some(document)) => documents.push(document),
            Ok(None) => return (documents, None),
            Err(mistake) => return (documents, Some(mistake)),
        }
    }
}

struct Reader<'text> {
    parser: Parser<'text, serde_saphyr::granit_parser::StrInput<'text>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    mistakes: Vec<Mistake>,
}

impl<'text> Reader<'text> {
    fn next_document(&mut self) -> Result<Option<Document>, Mistake> {
        loop {
            let Some((event, span)) = self.next_event()? else { return Ok(None) };
            match event {
                Event::DocumentStart(..) => self.anchors.clear(),
                Event::DocumentEnd | Event::StreamStart => {}
                Event::StreamEnd => return Ok(None),
                event => {
                    let root = self.node(event, span, &FieldPath::root(), 0)?;
                    return Ok(Some(Document { root, mistakes: std::mem::take(&mut self.mistakes) }));
                }
            }
        }
    }

    fn next_event(&mut self) -> Result<Option<(Event<'text>, Span)>, Mistake> {
        loop {
            match self.parser.next() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(Some(event)),
                Some(Err(error)) => return Err(syntax(error.marker().line(), &error.info())),
            }
        }
    }

    /// The event after one that announced more.
    fn expect_event(&mut self, line: usize) -> Result<(Event<'text>, Span), Mistake> {
        self.next_event()?.ok_or_else(|| syntax(line, "the document ends too early"))
    }

    fn node(
        &mut self,
        event: Event<'text>,
        span: Span,
        path: &FieldPath,
        depth: usize,
    ) -> Result<Node, Mistake> {
        let line = span.start.line();
        if depth > MAX_DEPTH {
            return Err(syntax(line, &format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.count(1, line)?;
        let (content, anchor) = match event {
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| syntax(line, "an alias inside what it stands for"))?;
                self.count(node.size(), line)?;
                return Ok(Node { line: Some(line), ..node });
            }
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(&text, style, tag.as_deref(), line, path)?, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), line)?;
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.expect_event(line)?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    let path = path.item(items.len());
                    items.push(self.node(event, span, &path, depth + 1)?);
                }
                (Content::List(items), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), line)?;
                (Content::Object(self.fields(line, path, depth)?), anchor)
            }
            _ => return Err(syntax(line, "a value is expected here")),
        };
        let node = Node { content, line: Some(line) };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn fields(&mut self, line: usize, path: &FieldPath, depth: usize) -> Result<Vec<Field>, Mistake> {
        let mut fields: Vec<Field> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.expect_event(line)?;
            let key_line = span.start.line();
            let name = match event {
                Event::MappingEnd => return Ok(fields),
                Event::Scalar(text, style, _, tag) => {
                    refuse_tag(tag.as_deref(), key_line)?;
                    let path = path.field(&*text);
                    if style == ScalarStyle::Plain {
                        match read_plain(&text) {
                            Ok(Scalar::Null) => return Err(syntax(key_line, "a field has no name")),
                            Ok(_) => {}
                            Err(ambiguity) => self.mistakes.push(Mistake {
                                code: ProblemCode::AmbiguousValue,
                                line: Some(key_line),
                                path,
                                message: format!("as a field's name, {}", ambiguity.describe(&text)),
                            }),
                        }
                    }
                    text.into_owned()
                }
                _ => return Err(syntax(key_line, "the name of a field must be plain text")),
            };
            self.count(1, key_line)?;
            let path = path.field(&name);
            if let Some(first) = seen.insert(name.clone(), key_line) {
                self.mistakes.push(Mistake {
                    code: ProblemCode::DuplicateKey,
                    line: Some(key_line),
                    path: path.clone(),
                    message: format!("stands here twice, first in line {first}"),
                });
            }
            let (event, span) = self.expect_event(key_line)?;
            let value = self.node(event, span, &path, depth + 1)?;
            fields.push(Field { name, line: Some(key_line), value });
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        line: usize,
        path: &FieldPath,
    ) -> Result<Content, Mistake> {
        if tag.is_some_and(is_text_tag) || (style != ScalarStyle::Plain && tag.is_none()) {
            return Ok(Content::Text(text.to_owned()));
        }
        refuse_tag(tag, line)?;
        let number = match read_plain(text) {
            Ok(Scalar::Null) => return Ok(Content::Null),
            Ok(Scalar::Bool(value)) => return Ok(Content::Bool(value)),
            Ok(Scalar::Text) => return Ok(Content::Text(text.to_owned())),
            Ok(Scalar::Integer(number)) => u64::try_from(number)
                .map(Number::from)
                .or_else(|_| i64::try_from(number).map(Number::from))
                .ok(),
            Ok(Scalar::Float(number)) => json_number(number),
            Ok(Scalar::Special(_)) => None,
            Err(ambiguity) => {
                self.mistakes.push(Mistake {
                    code: ProblemCode::AmbiguousValue,
                    line: Some(line),
                    path: path.clone(),
                    message: ambiguity.describe(text),
                });
                return Ok(Content::Text(text.to_owned()));
            }
        };
        match number {
            Some(number) => Ok(Content::Number(number)),
            None => Err(syntax(line, &format!("`{text}` is no number that JSON has; write text in quotes"))),
        }
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Mistake> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(syntax(line, &format!("more than {MAX_NODES} parts, aliases written out")));
        }
        Ok(())
    }
}

impl Node {
    fn size(&self) -> usize {
        match &self.content {
            Content::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Content::Object(fields) => 1 + fields.iter().map(|field| 1 + field.value.size()).sum::<usize>(),
            Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => 1,
        }
    }
}

/// `5.0` is the whole number 5, as it is once kubectl has turned YAML into JSON.
fn json_number(number: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and at most 2^53")]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

fn is_text_tag(tag: &Tag) -> bool {
    tag.handle() == "tag:yaml.org,2002:" && tag.suffix() == "str"
}

fn refuse_tag(tag: Option<&Tag>, line: usize) -> Result<(), Mistake> {
    match tag {
        None => Ok(()),
        Some(tag) if is_text_tag(tag) => Ok(()),
        Some(_) => Err(syntax(line, "tags have no meaning in a manifest; remove it")),
    }
}

fn syntax(line: usize, message: &str) -> Mistake {
    Mistake {
        code: ProblemCode::Syntax,
        line: Some(line),
        path: FieldPath::root(),
        message: message.to_owned(),
    }
}
