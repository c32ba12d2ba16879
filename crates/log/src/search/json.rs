use std::borrow::Cow;

/// A part of a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lexeme<'a> {
    /// An object or a list begins.
    Open,
    /// It ends.
    Close,
    /// The name of an object's member.
    Name(Cow<'a, str>),
    /// A string that is a value.
    Text(Cow<'a, str>),
    /// A number, as it is written.
    Number(&'a str),
    /// `true`, `false` or `null`.
    Literal(&'a str),
}

/// Takes JSON apart without building it up: in one pass, without calling itself, numbers as they are written. Of a text
/// that is no JSON it gives something, and ends.
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Cuts the string off that the rest begins with, quotes included.
    fn quoted(&mut self) -> Option<&'a str> {
        let mut bytes = self.rest.bytes().enumerate().skip(1);
        let end = loop {
            match bytes.next()? {
                (_, b'\\') => drop(bytes.next()),
                (at, b'"') => break at,
                _ => {}
            }
        };
        let (quoted, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        Some(quoted)
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Lexeme<'a>;

    fn next(&mut self) -> Option<Lexeme<'a>> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', ',', ':']);
        match self.rest.bytes().next()? {
            b'{' | b'[' => {
                self.rest = &self.rest[1..];
                Some(Lexeme::Open)
            }
            b'}' | b']' => {
                self.rest = &self.rest[1..];
                Some(Lexeme::Close)
            }
            b'"' => {
                let text = unescaped(self.quoted()?);
                let is_name = self.rest.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(':');
                Some(if is_name { Lexeme::Name(text) } else { Lexeme::Text(text) })
            }
            first => {
                let ends =
                    |c: char| matches!(c, ',' | ':' | '{' | '}' | '[' | ']' | '"') || c.is_ascii_whitespace();
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let (bare, rest) = self.rest.split_at(end);
                self.rest = rest;
                let is_number = first == b'-' || first.is_ascii_digit();
                Some(if is_number { Lexeme::Number(bare) } else { Lexeme::Literal(bare) })
            }
        }
    }
}

/// A string's content. One whose escapes mean no text (half a surrogate pair) stands as it is written.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    let raw = &quoted[1..quoted.len() - 1];
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    serde_json::from_str::<String>(quoted).map_or(Cow::Borrowed(raw), Cow::Owned)
}
