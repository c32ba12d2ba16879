use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use polylog_api::Token;

use super::best::Key;

const VERSION: u8 = 1;
/// Characters of a token.
const TOKEN: usize = 40;
const REST: usize = 42;

/// What was asked for, shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 8]);

impl Fingerprint {
    pub(crate) fn of(asked: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, asked);
        Self(std::array::from_fn(|index| digest.as_ref()[index]))
    }
}

/// Where a page of hits ended: opaque to callers. The next page is of the same search, over the same part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The end of what is searched.
    pub(crate) end: Token,
    pub(crate) fingerprint: Fingerprint,
    /// The place of the last hit that was given.
    pub(crate) after: Key,
    pub(crate) total: u64,
    pub(crate) is_exact: bool,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = [0; REST];
        rest[0] = VERSION;
        rest[1..9].copy_from_slice(&self.fingerprint.0);
        for (part, number) in rest[9..33].chunks_exact_mut(8).zip(self.after.0) {
            part.copy_from_slice(&number.to_be_bytes());
        }
        rest[33..41].copy_from_slice(&self.total.to_be_bytes());
        rest[41] = self.is_exact.into();
        write!(f, "{}{}", self.end, URL_SAFE_NO_PAD.encode(rest))
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "it must be what the page before gave as next";
        let (end, rest) = text.split_at_checked(TOKEN).ok_or(WRONG)?;
        let end = end.parse().map_err(|_| WRONG)?;
        let rest: [u8; REST] =
            URL_SAFE_NO_PAD.decode(rest).ok().and_then(|rest| rest.try_into().ok()).ok_or(WRONG)?;
        if rest[0] != VERSION {
            return Err("it is of another version; begin the search again");
        }
        let part = |from: usize| std::array::from_fn(|index| rest[from + index]);
        let number = |from| i64::from_be_bytes(part(from));
        Ok(Self {
            end,
            fingerprint: Fingerprint(part(1)),
            after: Key([number(9), number(17), number(25)]),
            total: u64::from_be_bytes(part(33)),
            is_exact: rest[41] == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use polylog_log::{Chain, LogId, Position, Term};

    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_given() {
        let log = LogId::new(uuid::Uuid::from_u128(7));
        let end = Token::new(log, Position::new(9), Term::new(2), Chain::from_bytes([3; 16]));
        let (fingerprint, after) = (Fingerprint::of(b"q"), Key([i64::MIN, -1, i64::MAX]));
        let cursor = Cursor { end, fingerprint, after, total: 12, is_exact: true };
        let text = cursor.to_string();
        assert_eq!(text.parse(), Ok(cursor));
        assert_ne!(Fingerprint::of(b"q"), Fingerprint::of(b"r"));
        for wrong in
            ["", "x", &text[1..], &text[..60], &format!("{text}A"), &text.replace(&text[40..42], "AA")]
        {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
