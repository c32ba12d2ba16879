//! The macro behind every constrained text type.

use thiserror::Error;

/// A text does not satisfy the rule of its type. The caller shows it beside the field; nothing else helps
/// but changing the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// Longer than the type allows; shorten it.
    #[error("{length} characters where {what} has at most {max}")]
    TooLong {
        /// Characters given.
        length: usize,
        /// Characters allowed.
        max: usize,
        /// Name of the type.
        what: &'static str,
    },
    /// Does not match the type's pattern; see the pattern for what is allowed.
    #[error("`{text}` is no {what}: it must match {pattern}")]
    Pattern {
        /// The text given.
        text: String,
        /// Name of the type.
        what: &'static str,
        /// Regular expression that all values match.
        pattern: &'static str,
    },
}

/// Defines a text with a maximum length (in characters, as Kubernetes counts) and a pattern
/// in the common subset of RE2, ECMA and Rust regular expressions.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, max $max:literal, pattern $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Most characters a value has.
            pub const MAX_LENGTH: usize = $max;
            /// Regular expression that every value matches.
            pub const PATTERN: &'static str = $pattern;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::values::TextError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                static REGEX: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
                    regex::Regex::new($pattern).expect("a constant pattern, compiled by the tests")
                });
                let length = text.chars().count();
                if length > $max {
                    return Err(crate::values::TextError::TooLong { length, max: $max, what: stringify!($name) });
                }
                if !REGEX.is_match(&text) {
                    return Err(crate::values::TextError::Pattern {
                        text,
                        what: stringify!($name),
                        pattern: $pattern,
                    });
                }
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::values::TextError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "maxLength": $max, "pattern": $pattern })
            }
        }
    };
}

pub(crate) use text_type;
