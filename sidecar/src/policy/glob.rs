/// A pattern in which `*` stands for any run of characters; everything else stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<String>,
}

impl Glob {
    /// Every text is a pattern.
    pub fn new(pattern: &str) -> Self {
        Self { parts: pattern.split('*').map(str::to_owned).collect() }
    }

    /// Whether every text matches.
    pub fn matches_everything(&self) -> bool {
        self.parts.len() > 1 && self.parts.iter().all(String::is_empty)
    }

    /// The only text that matches, if the pattern has no `*`.
    pub fn literal(&self) -> Option<&str> {
        match &self.parts[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether the whole text matches. Takes time linear in the text for each part.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.parts[..] else {
            return self.parts.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, good, bad) in [
            ("*", &["", "a", "a*b"][..], &[][..]),
            ("Pay*", &["Pay", "Payment"], &["pay", "xPay", ""]),
            ("*ment", &["Payment", "ment"], &["Payments"]),
            ("a*b*c", &["abc", "axbxc", "abbcc"], &["acb", "ab", "ac"]),
            ("aba*aba", &["abaaba", "aba-aba"], &["aba", "ababa"]),
            ("Payment", &["Payment"], &["Payments", ""]),
            ("", &[""], &["a"]),
        ] {
            let glob = Glob::new(pattern);
            good.iter().for_each(|text| assert!(glob.matches(text), "{pattern} {text}"));
            bad.iter().for_each(|text| assert!(!glob.matches(text), "{pattern} {text}"));
        }
        assert!(Glob::new("**").matches_everything() && !Glob::new("").matches_everything());
    }
}
