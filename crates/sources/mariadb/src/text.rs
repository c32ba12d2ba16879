//! Values written into the text of a statement. Several statements in one packet save the ways there and back, and only
//! text can hold several.

use std::fmt::Write as _;

use uuid::Uuid;

/// Appends a number.
pub(crate) fn number(to: &mut String, number: u64) {
    let _ = write!(to, "{number}");
}

/// Appends an id.
pub(crate) fn id(to: &mut String, id: Uuid) {
    hexadecimal(to, id.as_bytes());
}

/// Appends bytes as `x'…'`: digests and the like.
pub(crate) fn hexadecimal(to: &mut String, bytes: &[u8]) {
    to.push_str("x'");
    digits(to, bytes);
    to.push('\'');
}

/// Appends hexadecimal digits.
pub(crate) fn digits(to: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        to.push(DIGITS[usize::from(byte >> 4)].into());
        to.push(DIGITS[usize::from(byte & 15)].into());
    }
}

/// Appends a text, to be stored as its bytes. `sql_mode` is pinned, so that a backslash escapes.
pub(crate) fn text(to: &mut String, text: &str) {
    to.push_str("_binary'");
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '\\', '\0']) {
        to.push_str(&rest[..at]);
        to.push_str(match rest.as_bytes()[at] {
            b'\'' => "\\'",
            b'\\' => "\\\\",
            _ => "\\0",
        });
        rest = &rest[at + 1..];
    }
    to.push_str(rest);
    to.push('\'');
}

/// Appends bytes in the shorter of both ways: most are text.
pub(crate) fn bytes(to: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(readable) => text(to, readable),
        Err(_) => hexadecimal(to, bytes),
    }
}

/// Appends what may be absent.
pub(crate) fn optional<T>(to: &mut String, value: Option<T>, append: impl FnOnce(&mut String, T)) {
    match value {
        Some(value) => append(to, value),
        None => to.push_str("NULL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_inside_their_quotes() {
        let written = |value: &[u8]| {
            let mut to = String::new();
            bytes(&mut to, value);
            to
        };
        assert_eq!(written(b""), "_binary''");
        assert_eq!(written(b"it's \\ \0!"), "_binary'it\\'s \\\\ \\0!'");
        assert_eq!(written("\u{1f980}'".as_bytes()), "_binary'\u{1f980}\\''");
        assert_eq!(written(b"\xff'"), "x'ff27'");
        let mut to = String::new();
        optional(&mut to, None::<u64>, number);
        id(&mut to, Uuid::from_u128(0xab));
        assert_eq!(to, "NULLx'000000000000000000000000000000ab'");
    }
}
