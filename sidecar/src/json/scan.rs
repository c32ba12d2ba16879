/// The text is not JSON, or not of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the expected JSON at byte {0}")]
pub(crate) struct NotJson(pub usize);

/// The first byte at or after `at` that is not white space.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The byte after the string that begins at `at`.
pub(super) fn skip_string(text: &[u8], at: usize) -> Result<usize, NotJson> {
    if text.get(at) != Some(&b'"') {
        return Err(NotJson(at));
    }
    let mut next = at + 1;
    loop {
        match text.get(next) {
            Some(b'"') => return Ok(next + 1),
            Some(b'\\') => next += 2,
            Some(_) => next += 1,
            None => return Err(NotJson(next)),
        }
    }
}

/// The byte after the value that begins at `at`. Needs no stack, however deep the value is nested; structure inside
/// the value is taken on trust, since it was checked when it was recorded.
pub(super) fn skip_value(text: &[u8], at: usize) -> Result<usize, NotJson> {
    let mut depth = 0_usize;
    let mut next = at;
    loop {
        match text.get(next) {
            Some(b'{' | b'[') => {
                depth += 1;
                next += 1;
            }
            Some(b'}' | b']') => {
                depth = depth.checked_sub(1).ok_or(NotJson(next))?;
                next += 1;
            }
            Some(b'"') => next = skip_string(text, next)?,
            Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') if depth > 0 => next += 1,
            Some(b'-' | b'0'..=b'9' | b'a'..=b'z') => next = skip_plain(text, next),
            _ => return Err(NotJson(next)),
        }
        if depth == 0 {
            return Ok(next);
        }
    }
}

/// Numbers and the words true, false, null.
fn skip_plain(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_value_is_found() {
        for (text, rest) in [
            ("1e400 ", " "),
            ("-0,", ","),
            (r#""a\"]}\\" x"#, " x"),
            (r#"{"a":[1,{"b":"}"}]}]"#, "]"),
            ("null", ""),
        ] {
            let end = skip_value(text.as_bytes(), 0).expect("a value");
            assert_eq!(&text[end..], rest, "{text}");
        }
        for bad in ["", "{", "]", "\"", "\"\\"] {
            assert!(skip_value(bad.as_bytes(), 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        assert_eq!(skip_value(deep.as_bytes(), 0), Ok(deep.len()));
    }
}
