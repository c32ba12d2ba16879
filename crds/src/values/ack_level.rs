//! How many voters must hold an append before it is answered.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How many voters must hold an append before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AckLevel {
    /// This many voters, the primary among them; 1 to 9.
    Count(NonZeroU8),
    /// More than half of the voters.
    Majority,
    /// Every voter that is in sync.
    All,
}

/// A text is no [`AckLevel`]; the manifest or the request has to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no ack level: write \"1\" to \"9\", Majority or All")]
pub struct AckLevelError(String);

impl AckLevel {
    /// Regular expression that every ack level matches in a manifest. Requests may use any letter case.
    pub const PATTERN: &'static str = "^([1-9]|Majority|All)$";

    /// The primary alone.
    pub const ONE: Self = Self::Count(NonZeroU8::MIN);

    /// How many of `voters` must hold an append. May be more than there are, if the level is a number.
    pub fn required(self, voters: usize) -> usize {
        match self {
            Self::Count(count) => usize::from(count.get()),
            Self::Majority => voters / 2 + 1,
            Self::All => voters,
        }
    }
}

impl FromStr for AckLevel {
    type Err = AckLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("majority") {
            return Ok(Self::Majority);
        }
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        match text.as_bytes() {
            [digit @ b'1'..=b'9'] => {
                NonZeroU8::new(digit - b'0').map(Self::Count).ok_or_else(|| AckLevelError(text.to_owned()))
            }
            _ => Err(AckLevelError(text.to_owned())),
        }
    }
}

impl fmt::Display for AckLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Majority => f.write_str("Majority"),
            Self::All => f.write_str("All"),
        }
    }
}

impl TryFrom<String> for AckLevel {
    type Error = AckLevelError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AckLevel> for String {
    fn from(value: AckLevel) -> String {
        value.to_string()
    }
}

impl schemars::JsonSchema for AckLevel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AckLevel".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 8, "pattern": Self::PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requires_as_many_voters_as_it_says() {
        for (text, voters, required) in [
            ("1", 3, 1),
            ("2", 3, 2),
            ("majority", 3, 2),
            ("Majority", 4, 3),
            ("ALL", 3, 3),
            ("Majority", 1, 1),
        ] {
            let level: AckLevel = text.parse().expect("an ack level");
            assert_eq!(level.required(voters), required, "{text} of {voters}");
        }
        for text in ["", "0", "10", "most", " 1"] {
            assert!(text.parse::<AckLevel>().is_err(), "{text:?}");
        }
    }
}
