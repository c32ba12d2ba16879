use std::fmt::Write as _;

use polylog_api::metadata;
use serde_json::value::RawValue;

/// What a foreign database holds of one event: a JSON object, whose values stay as they are written.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// What it is called in messages.
    pub(crate) name: String,
    /// Its own id where that is no field of it.
    pub(crate) id: Option<Box<RawValue>>,
    pub(crate) fields: Box<RawValue>,
}

/// The field that stands for [`Document::id`].
const ID: &str = "_id";

/// Not an object, or one whose names are no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON object whose names are text")]
pub(crate) struct NoObject;

/// An object's members in their order.
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn of(json: &'a RawValue) -> Result<Self, NoObject> {
        let members = metadata::members(json.get().as_bytes()).map_err(|_| NoObject)?;
        let named = |(name, value)| Some((String::from_utf8(name).ok()?, value));
        members.into_iter().map(named).collect::<Option<Vec<_>>>().map(Self).ok_or(NoObject)
    }

    /// The members of a document, its own id among them.
    pub(crate) fn of_document(document: &'a Document) -> Result<Self, NoObject> {
        let mut members = Self::of(&document.fields)?;
        if let Some(id) = &document.id {
            members.0.insert(0, (ID.to_owned(), id));
        }
        Ok(members)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value at a path: a member of that very name, or one within objects, with dots between. What is null is not there.
    pub(crate) fn at(&self, path: &str) -> Option<&'a RawValue> {
        let named = |wanted: &str| self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        let found = named(path).or_else(|| {
            let ends = path.match_indices('.').map(|(end, _)| end);
            ends.filter_map(|end| Members::of(named(&path[..end])?).ok()?.at(&path[end + 1..])).next()
        });
        found.filter(|value| value.get() != "null")
    }

    /// What no one of these paths leads to, as members of an object. Objects stay of which only parts are used, without
    /// those parts.
    pub(crate) fn without(&self, used: &[&str]) -> Vec<(String, Box<RawValue>)> {
        let mut left = Vec::new();
        for (name, value) in &self.0 {
            if used.contains(&name.as_str()) {
                continue;
            }
            let within: Vec<&str> =
                used.iter().filter_map(|path| path.strip_prefix(name.as_str())?.strip_prefix('.')).collect();
            match Members::of(value) {
                Ok(inner) if !within.is_empty() => {
                    let inner = inner.without(&within);
                    if !inner.is_empty() {
                        left.push((name.clone(), object(&inner)));
                    }
                }
                _ => left.push((name.clone(), (*value).to_owned())),
            }
        }
        left
    }
}

/// An object of these members.
pub(crate) fn object(members: &[(String, Box<RawValue>)]) -> Box<RawValue> {
    let members = members.iter().map(|(name, value)| (name.as_str(), &**value));
    let bytes = metadata::with_members(None, members);
    let text = String::from_utf8(bytes).expect("of texts");
    RawValue::from_string(text).expect("members were written as JSON")
}

/// A value as a text: a string's content, a number as it is written, and what document databases keep as an object of one
/// `$…` member. `None` where it is none of these.
pub(crate) fn text(value: &RawValue) -> Option<String> {
    let json = value.get();
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'0'..=b'9' | b'-' => Some(json.to_owned()),
        b'{' => special(value),
        _ => None,
    }
}

/// `{"$oid": "…"}` and its like.
fn special(value: &RawValue) -> Option<String> {
    let members = Members::of(value).ok()?;
    let inner = |name: &str| text(members.at(name)?);
    let plain = ["$oid", "$numberLong", "$numberInt", "$numberDecimal", "$uuid", "$date"];
    let found = plain.iter().find_map(|name| inner(name));
    found.or_else(|| {
        let binary = Members::of(members.at("$binary")?).ok()?;
        let bytes = base64_of(&text(binary.at("base64")?)?)?;
        let is_uuid = text(binary.at("subType")?)? == "04" && bytes.len() == 16;
        is_uuid.then(|| uuid::Uuid::from_slice(&bytes).map(|uuid| uuid.to_string()).ok())?
    })
}

/// The bytes that a text in base 64 stands for.
pub(crate) fn base64_of(text: &str) -> Option<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.decode(text).ok()
}

/// The bytes that hexadecimal digits stand for, which may begin with `\x` or `0x`.
pub(crate) fn hex_of(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").or_else(|| text.strip_prefix("0x")).unwrap_or(text);
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// The same JSON on one line: line breaks stand between tokens only.
pub(crate) fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

/// The beginning of a text, for messages.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        // writing to a string cannot fail
        let _ = write!(short, "…");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect(json)
    }

    #[test]
    fn values_are_found_and_stay_as_they_are_written() {
        let json = raw(r#"{"a": 1.00,"b":{"c":{"d":1e400}, "e":null},"b.c":{"f":2},"x.y":3}"#);
        let members = Members::of(&json).expect("an object");
        let at = |path: &str| members.at(path).map(RawValue::get);
        assert_eq!(
            [at("a"), at("b.c.d"), at("b.c.f"), at("x.y")].map(|it| it.unwrap_or("-")),
            ["1.00", "1e400", "2", "3"]
        );
        assert_eq!([at("b.e"), at("b.x"), at("a.b"), at("c")], [None; 4]);
    }

    #[test]
    fn what_is_not_used_is_left() {
        let json = raw(r#"{"a": 1.00,"b":{"c":{"d":2}, "e":3},"f":{"g":4},"h":null}"#);
        let members = Members::of(&json).expect("an object");
        let left = |used: &[&str]| object(&members.without(used)).get().to_owned();
        assert_eq!(left(&["a", "b.c.d", "f.g"]), r#"{"b":{"e":3},"h":null}"#);
        assert_eq!(left(&["b", "h", "f"]), r#"{"a":1.00}"#);
    }

    #[test]
    fn texts_of_every_kind() {
        let cases = [
            (r#""é""#, Some("é")),
            ("-17", Some("-17")),
            (r#"{"$oid":"507f1f77bcf86cd799439011"}"#, Some("507f1f77bcf86cd799439011")),
            (r#"{"$date":{"$numberLong":"5"}}"#, Some("5")),
            (
                r#"{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAABw==","subType":"04"}}"#,
                Some("00000000-0000-0000-0000-000000000007"),
            ),
            (r#"{"$binary":{"base64":"AA==","subType":"00"}}"#, None),
            (r#"{"a":1}"#, None),
            ("[1]", None),
            ("true", None),
        ];
        for (json, expected) in cases {
            assert_eq!(text(&raw(json)).as_deref(), expected, "{json}");
        }
        assert_eq!(hex_of("\\x00ff"), Some(vec![0, 255]));
        assert_eq!([hex_of("0"), hex_of("zz"), hex_of("é")], [const { None }; 3]);
    }
}
