use std::collections::BTreeMap;

use super::json::{Lexeme, Lexer};

/// What an event's metadata says under these names, one after the other.
///
/// A name is that of a member of the metadata object itself, whole and exact. Strings count as they are, numbers as they
/// are written, `true` and `false` by their names; `null`, lists and objects count as absent. Of a name that stands twice
/// the last one counts.
pub fn metadata_values(metadata: Option<&[u8]>, names: &[String]) -> Vec<Option<String>> {
    let mut values = vec![None; names.len()];
    if names.is_empty() {
        return values;
    }
    each_member(metadata, |name, value| {
        for (slot, _) in values.iter_mut().zip(names).filter(|(_, asked)| **asked == name) {
            slot.clone_from(&value);
        }
    });
    values
}

/// Everything that an event's metadata says, by its names: what [`metadata_values`] gives for each of them.
pub fn metadata_members(metadata: Option<&[u8]>) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    each_member(metadata, |name, value| {
        match value {
            Some(value) => members.insert(name, value),
            None => members.remove(&name),
        };
    });
    members
}

/// Gives the members of the metadata object one by one; of a name that stands twice the last one counts.
fn each_member(metadata: Option<&[u8]>, mut take: impl FnMut(String, Option<String>)) {
    let Some(text) = metadata.and_then(|bytes| str::from_utf8(bytes).ok()) else { return };
    let mut depth = 0_usize;
    let mut wanted: Option<String> = None;
    for lexeme in Lexer::new(text) {
        let value = match lexeme {
            Lexeme::Name(name) if depth == 1 => {
                wanted = Some(name.into_owned());
                continue;
            }
            Lexeme::Name(_) => continue,
            Lexeme::Open => {
                depth += 1;
                None
            }
            Lexeme::Close => {
                depth = depth.saturating_sub(1);
                continue;
            }
            Lexeme::Text(text) => Some(text.into_owned()),
            Lexeme::Number(number) => Some(number.to_owned()),
            Lexeme::Literal("null") => None,
            Lexeme::Literal(literal) => Some(literal.to_owned()),
        };
        if let Some(name) = wanted.take() {
            take(name, value);
        }
    }
}
