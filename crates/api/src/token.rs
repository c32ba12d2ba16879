use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use polylog_log::{Chain, LogId, Point, Position, Term};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
const LENGTH: usize = 30;
const TEXT_LENGTH: usize = 40;

/// What somebody has seen of a log: a position, with enough of its history to notice another one.
///
/// 40 characters of base64url, opaque to callers: version, first 4 bytes of the log's id, lane, position, term and
/// first 8 bytes of the chain of the entry that holds the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    log: [u8; 4],
    position: Position,
    term: Term,
    chain: [u8; 8],
}

/// Why a text is not a token. Use tokens only as they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not 40 characters of base64url.
    #[error("a token is 40 characters of A-Z, a-z, 0-9, '-' and '_', as an answer gave them")]
    Malformed,
    /// From a newer or older version.
    #[error("tokens of version {0} are not known")]
    Version(u8),
    /// Of a lane other than 0.
    #[error("there is no lane {0}")]
    Lane(u8),
    /// A position or term above 2^53 - 1.
    #[error("the token holds no position")]
    Position,
}

impl Token {
    /// The token of a position within the entry that ends with `chain` under `term`.
    pub fn new(log: LogId, position: Position, term: Term, chain: Chain) -> Self {
        Self { log: first(log.as_bytes()), position, term, chain: first(chain.as_bytes()) }
    }

    /// The token of the end of an entry.
    pub fn at(log: LogId, point: Point) -> Self {
        Self::new(log, point.position, point.term, point.chain)
    }

    /// The same from what is kept of log and chain.
    pub fn of_parts(log: [u8; 4], position: Position, term: Term, chain: [u8; 8]) -> Self {
        Self { log, position, term, chain }
    }

    /// The position that was seen; zero = nothing yet.
    pub fn position(self) -> Position {
        self.position
    }

    /// The term of the entry that holds the position.
    pub fn term(self) -> Term {
        self.term
    }

    /// The leading bytes of the log's id.
    pub fn log(self) -> [u8; 4] {
        self.log
    }

    /// The leading bytes of the chain at the end of the entry that holds the position.
    pub fn chain(self) -> [u8; 8] {
        self.chain
    }

    /// Whether it is of this log.
    pub fn is_of(self, log: LogId) -> bool {
        self.log == first(log.as_bytes())
    }

    /// Whether the entry that holds the position, as a source has it, is the one that was seen.
    pub fn is_in_history(self, term: Term, chain: Chain) -> bool {
        self.term == term && self.chain == first(chain.as_bytes())
    }
}

/// The leading `N` bytes.
fn first<const N: usize>(bytes: &[u8; 16]) -> [u8; N] {
    std::array::from_fn(|index| bytes[index])
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&self.log);
        bytes[6..14].copy_from_slice(&self.position.get().to_be_bytes());
        bytes[14..22].copy_from_slice(&self.term.get().to_be_bytes());
        bytes[22..30].copy_from_slice(&self.chain);
        let mut text = [0; TEXT_LENGTH];
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| TokenError::Malformed)?;
        let part = |from: usize| std::array::from_fn(|index| bytes[from + index]);
        match (bytes[0], bytes[5]) {
            (VERSION, 0) => {}
            (VERSION, lane) => return Err(TokenError::Lane(lane)),
            (version, _) => return Err(TokenError::Version(version)),
        }
        Ok(Self {
            log: std::array::from_fn(|index| bytes[1 + index]),
            position: u64::from_be_bytes(part(6)).try_into().map_err(|_| TokenError::Position)?,
            term: u64::from_be_bytes(part(14)).try_into().map_err(|_| TokenError::Position)?,
            chain: part(22),
        })
    }
}

impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> LogId {
        LogId::from_bytes([0x01, 0x98, 0xf2, 0xc0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
    }

    fn chain() -> Chain {
        Chain::from_bytes([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0, 1, 2, 3, 4, 5, 6, 7])
    }

    /// Tokens outlive a version: clients keep them in cookies, projections as checkpoints.
    #[test]
    fn golden_vector() {
        let token = Token::new(log(), Position::new(184_211), Term::new(3), chain());
        assert_eq!(token.to_string(), "AQGY8sAAAAAAAAACz5MAAAAAAAAAA6ChoqOkpaan");
        assert_eq!("AQGY8sAAAAAAAAACz5MAAAAAAAAAA6ChoqOkpaan".parse(), Ok(token));
    }

    #[test]
    fn knows_its_log_and_history() {
        let token = Token::new(log(), Position::new(7), Term::new(3), chain());
        assert!(token.is_of(log()) && token.is_in_history(Term::new(3), chain()));
        assert!(!token.is_of(LogId::from_bytes([0x02; 16])));
        assert!(!token.is_in_history(Term::new(4), chain()));
        assert!(!token.is_in_history(Term::new(3), Chain::from_bytes([0; 16])));
    }

    #[test]
    fn what_no_answer_gave_is_refused() {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut bytes = [0; LENGTH];
        let cases = |bytes: &[u8]| encode(bytes).parse::<Token>().map(Token::position);
        assert_eq!(cases(&bytes), Err(TokenError::Version(0)));
        bytes[0] = VERSION;
        assert_eq!(cases(&bytes), Ok(Position::ZERO));
        bytes[5] = 1;
        assert_eq!(cases(&bytes), Err(TokenError::Lane(1)));
        bytes[5] = 0;
        bytes[6] = 0xff;
        assert_eq!(cases(&bytes), Err(TokenError::Position));
        for bad in ["", "AQ", "é", &encode(&bytes[1..]), &format!("{}=", encode(&bytes)), &"*".repeat(40)] {
            assert_eq!(bad.parse::<Token>(), Err(TokenError::Malformed), "{bad}");
        }
    }
}
