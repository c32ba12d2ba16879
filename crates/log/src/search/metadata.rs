use super::json::{Lexeme, Lexer};

/// What an event's metadata says under these names, one after the other.
///
/// A name is that of a member of the metadata object itself, whole and exact. Strings count as they are, numbers as they
/// are written, `true` and `false` by their names; `null`, lists and objects count as absent. Of a name that stands twice
/// the last one counts.
pub fn metadata_values(metadata: Option<&[u8]>, names: &[String]) -> Vec<Option<String>> {
    let mut values = vec![None; names.len()];
    let Some(text) = metadata.filter(|_| !names.is_empty()).and_then(|bytes| str::from_utf8(bytes).ok())
    else {
        return values;
    };
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
        let Some(name) = wanted.take() else { continue };
        for (slot, _) in values.iter_mut().zip(names).filter(|(_, asked)| **asked == name) {
            slot.clone_from(&value);
        }
    }
    values
}
