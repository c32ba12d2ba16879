use std::ops::ControlFlow;

use super::{
    json::{Lexeme, Lexer},
    words,
};
use crate::Event;

/// How much of an event is searched, in bytes of words and the spaces between them.
pub const LONGEST_TEXT: usize = 64 << 10;

/// The words of an event by which it is found, in lower case, with a space between two: what an engine with an index of
/// its own puts there, to be taken apart at spaces.
///
/// They are those of the metadata and then of the data: of JSON its strings and numbers, not the names of its members; of
/// other text (`text/…`) all of it; of anything else nothing. Only so many as fit into [`LONGEST_TEXT`].
pub fn search_text(event: &Event) -> String {
    let mut text = String::new();
    each_word(event, |word| {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    });
    text
}

/// Gives the same words one by one.
pub(super) fn each_word(event: &Event, mut take: impl FnMut(&str)) {
    let mut room = LONGEST_TEXT;
    let mut bounded = |word: &str| {
        match room.checked_sub(word.len() + 1) {
            Some(left) => room = left,
            None => return ControlFlow::Break(()),
        }
        take(word);
        ControlFlow::Continue(())
    };
    let _ = each_part(event, |part| words::each_word(part, &mut bounded));
}

fn each_part(event: &Event, mut take: impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    if let Some(metadata) = event.metadata.as_deref() {
        each_value(metadata, &mut take)?;
    }
    let Some(data) = event.data.as_deref() else { return ControlFlow::Continue(()) };
    match Kind::of(&event.content_type) {
        Kind::Json => each_value(data, &mut take),
        Kind::Text => str::from_utf8(data).map_or(ControlFlow::Continue(()), take),
        Kind::Other => ControlFlow::Continue(()),
    }
}

fn each_value(json: &[u8], take: &mut impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    let Ok(json) = str::from_utf8(json) else { return ControlFlow::Continue(()) };
    for lexeme in Lexer::new(json) {
        match lexeme {
            Lexeme::Text(text) => take(&text)?,
            Lexeme::Number(number) => take(number)?,
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

enum Kind {
    Json,
    Text,
    Other,
}

impl Kind {
    fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Kind::Json,
            json if json.ends_with("+json") => Kind::Json,
            text if text.starts_with("text/") => Kind::Text,
            _ => Kind::Other,
        }
    }
}
