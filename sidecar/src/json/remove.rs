use std::{collections::BTreeMap, ops::Range};

use super::scan::{NotJson, skip_space, skip_string, skip_value};

/// JSON pointers (RFC 6901), gathered so that one pass over a text finds all they name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pointers {
    is_end: bool,
    below: BTreeMap<String, Pointers>,
}

struct Edit {
    span: Range<usize>,
    by: &'static [u8],
}

impl Pointers {
    /// Adds a pointer; the empty one names the whole text. Returns false if it is not a JSON pointer.
    #[must_use]
    pub(crate) fn add(&mut self, pointer: &str) -> bool {
        let mut node = self;
        if !pointer.is_empty() {
            let Some(path) = pointer.strip_prefix('/') else { return false };
            for part in path.split('/') {
                let Some(name) = unescape(part) else { return false };
                node = node.below.entry(name).or_default();
            }
        }
        node.is_end = true;
        true
    }

    /// Whether nothing is named.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_end && self.below.is_empty()
    }

    /// Whether the whole text is named.
    pub(crate) fn names_everything(&self) -> bool {
        self.is_end
    }

    /// Removes what is named: members of objects vanish, also where a name stands twice or is written with escapes;
    /// elements of arrays become `null`, so that the others keep their index. `None` = nothing was there.
    ///
    /// The empty pointer is not applied here: see [`Self::names_everything`].
    pub(crate) fn remove_from(&self, text: &[u8]) -> Result<Option<Vec<u8>>, NotJson> {
        let mut edits = Vec::new();
        self.edits(text, skip_space(text, 0), &mut edits)?;
        if edits.is_empty() {
            return Ok(None);
        }
        let mut edited = Vec::with_capacity(text.len());
        let mut at = 0;
        for Edit { span, by } in edits {
            edited.extend_from_slice(text.get(at..span.start).unwrap_or_default());
            edited.extend_from_slice(by);
            at = at.max(span.end);
        }
        edited.extend_from_slice(&text[at..]);
        Ok(Some(edited))
    }

    /// Collects edits for the value at `at`, ordered by their beginning but for the case in `members`, and returns
    /// the byte after it. Recursion goes as deep as the pointers, not as the text.
    fn edits(&self, text: &[u8], at: usize, edits: &mut Vec<Edit>) -> Result<usize, NotJson> {
        match text.get(at) {
            Some(b'{') if !self.below.is_empty() => self.members(text, at, edits),
            Some(b'[') if !self.below.is_empty() => self.elements(text, at, edits),
            _ => skip_value(text, at),
        }
    }

    fn members(&self, text: &[u8], open: usize, edits: &mut Vec<Edit>) -> Result<usize, NotJson> {
        let mut at = skip_space(text, open + 1);
        if text.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        let mut kept_until = None;
        // edits of the members removed since the last one that stays: a last member takes the comma before it along
        let mut removed_since = edits.len();
        loop {
            let begin = at;
            let name_end = skip_string(text, begin)?;
            let below = self.below_name(&text[begin..name_end]);
            let colon = skip_space(text, name_end);
            if text.get(colon) != Some(&b':') {
                return Err(NotJson(colon));
            }
            let value = skip_space(text, colon + 1);
            let is_removed = below.is_some_and(|below| below.is_end);
            let end = match below {
                Some(below) if !below.is_end => below.edits(text, value, edits)?,
                _ => skip_value(text, value)?,
            };
            let after = skip_space(text, end);
            let is_last = match text.get(after) {
                Some(b',') => false,
                Some(b'}') => true,
                _ => return Err(NotJson(after)),
            };
            at = skip_space(text, after + 1);
            match (is_removed, is_last) {
                (false, _) => (kept_until, removed_since) = (Some(end), edits.len()),
                (true, false) => edits.push(Edit { span: begin..at, by: b"" }),
                (true, true) => {
                    edits.truncate(removed_since);
                    let from = kept_until.unwrap_or_else(|| skip_space(text, open + 1));
                    edits.push(Edit { span: from..end, by: b"" });
                }
            }
            if is_last {
                return Ok(after + 1);
            }
        }
    }

    fn elements(&self, text: &[u8], open: usize, edits: &mut Vec<Edit>) -> Result<usize, NotJson> {
        let mut at = skip_space(text, open + 1);
        if text.get(at) == Some(&b']') {
            return Ok(at + 1);
        }
        for index in 0_usize.. {
            let end = match self.below.get(&index.to_string()) {
                Some(below) if below.is_end => {
                    let end = skip_value(text, at)?;
                    edits.push(Edit { span: at..end, by: b"null" });
                    end
                }
                Some(below) => below.edits(text, at, edits)?,
                None => skip_value(text, at)?,
            };
            let after = skip_space(text, end);
            match text.get(after) {
                Some(b',') => at = skip_space(text, after + 1),
                Some(b']') => return Ok(after + 1),
                _ => return Err(NotJson(after)),
            }
        }
        Err(NotJson(at))
    }

    fn below_name(&self, quoted: &[u8]) -> Option<&Pointers> {
        if quoted.contains(&b'\\') {
            // a name that does not decode holds a lone surrogate, which no pointer can name
            return self.below.get(&serde_json::from_slice::<String>(quoted).ok()?);
        }
        self.below.get(std::str::from_utf8(&quoted[1..quoted.len() - 1]).ok()?)
    }
}

fn unescape(part: &str) -> Option<String> {
    let mut name = String::with_capacity(part.len());
    let mut rest = part.chars();
    while let Some(c) = rest.next() {
        name.push(match c {
            '~' => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(pointers: &[&str], text: &str) -> String {
        let mut all = Pointers::default();
        assert!(pointers.iter().all(|pointer| all.add(pointer)));
        let edited = all.remove_from(text.as_bytes()).expect("JSON");
        edited.map_or_else(|| "unchanged".into(), |edited| String::from_utf8(edited).expect("UTF-8"))
    }

    #[test]
    fn members_vanish_and_the_rest_stays_byte_for_byte() {
        assert_eq!(removed(&["/b"], r#"{ "a" : 1e400 , "b":2, "c":-0 }"#), r#"{ "a" : 1e400 , "c":-0 }"#);
        assert_eq!(removed(&["/a"], r#"{"a":1}"#), "{}");
        assert_eq!(removed(&["/a"], r#"{ "a":1 }"#), "{  }");
        assert_eq!(removed(&["/c"], r#"{"a":1 , "c":[1,{"c":2}] }"#), r#"{"a":1 }"#);
        assert_eq!(removed(&["/b", "/c"], r#"{"a":1,"b":2,"c":3}"#), r#"{"a":1}"#);
        assert_eq!(removed(&["/a", "/b", "/c"], r#"{"a":1,"b":2,"c":3}"#), "{}");
        assert_eq!(removed(&["/a", "/c"], r#"{"a":1,"b":{"a":2},"c":3}"#), r#"{"b":{"a":2}}"#);
        assert_eq!(removed(&["/a/b", "/z"], r#"{"a":{"x":1,"b":2},"z":3}"#), r#"{"a":{"x":1}}"#);
        assert_eq!(removed(&["/a"], r#"{"b":1}"#), "unchanged");
        assert_eq!(removed(&["/a"], "17"), "unchanged");
    }

    #[test]
    fn no_spelling_of_a_name_escapes() {
        assert_eq!(removed(&["/iban"], r#"{"iban":1,"x":0,"\u0069ban":2,"iban":3}"#), r#"{"x":0}"#);
        assert_eq!(removed(&["/a~1b", "/m~0n"], r#"{"a/b":1,"m~n":2,"o":3}"#), r#"{"o":3}"#);
        assert_eq!(removed(&["/"], r#"{"":1,"o":3}"#), r#"{"o":3}"#);
        assert_eq!(removed(&["/\u{e9}"], "{\"\\u00e9\":1,\"\u{e9}\":2,\"o\":3}"), r#"{"o":3}"#);
    }

    #[test]
    fn elements_become_null() {
        assert_eq!(
            removed(&["/l/1", "/l/0/x"], r#"{"l":[{"x":1,"y":2}, "b" ,3]}"#),
            r#"{"l":[{"y":2}, null ,3]}"#
        );
        assert_eq!(removed(&["/0"], "[1]"), "[null]");
        assert_eq!(removed(&["/9"], "[]"), "unchanged");
    }

    #[test]
    fn bad_pointers_and_bad_texts_are_told() {
        assert!(!Pointers::default().add("a"));
        assert!(!Pointers::default().add("/~2"));
        let mut pointers = Pointers::default();
        assert!(pointers.add("/a"));
        for bad in ["{", r#"{"a"}"#, r#"{"a":1"#, r#"{"a":1 "b":2}"#, "{a:1}", ""] {
            assert!(pointers.remove_from(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
