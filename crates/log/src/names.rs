use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest name, in bytes of UTF-8.
const LONGEST: usize = 200;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// More than 200 bytes of UTF-8.
    #[error("{what} must be at most 200 bytes of UTF-8, got {bytes}")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A C0 or C1 control character, or DEL.
    #[error("{what} must not hold control characters, got U+{:04X}", *found as u32)]
    ControlCharacter {
        /// Which name.
        what: &'static str,
        /// The character.
        found: char,
    },
    /// Names beginning with `$` are the log's own.
    #[error("{0} must not begin with '$': those names are reserved")]
    Reserved(&'static str),
    /// A space at either end.
    #[error("{0} must not begin or end with a space")]
    Space(&'static str),
}

fn check(what: &'static str, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty(what));
    }
    if name.len() > LONGEST {
        return Err(NameError::TooLong { what, bytes: name.len() });
    }
    if let Some(found) = name.chars().find(|c| c.is_control()) {
        return Err(NameError::ControlCharacter { what, found });
    }
    if name.starts_with('$') {
        return Err(NameError::Reserved(what));
    }
    if name.starts_with(' ') || name.ends_with(' ') {
        return Err(NameError::Space(what));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 200 bytes of UTF-8 without control characters, not beginning with `$`, no space at either end;
        /// compared byte by byte, never normalised.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a name that a client gave.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                check($what, name)?;
                Ok(Self(name.into()))
            }

            /// Takes a name that was checked when it was recorded, or one of the log's own (`$…`).
            pub fn recorded(name: &str) -> Self {
                Self(name.into())
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether this is one of the log's own names.
            pub fn is_system(&self) -> bool {
                self.0.starts_with('$')
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::parse(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().into()
            }
        }
    };
}

name!(
    /// Name of a stream: the ordered events of one aggregate.
    StreamName,
    "a stream's name"
);
name!(
    /// A stream's category (its aggregate type).
    Category,
    "a category"
);
name!(
    /// A stream's aggregate id.
    AggregateId,
    "an aggregate id"
);
name!(
    /// An event's type.
    EventType,
    "an event type"
);
name!(
    /// Name of a source in the manifests.
    SourceName,
    "a source's name"
);

impl StreamName {
    /// The category that a stream has when its first append names none: the part before the first `-`, or the whole name.
    pub fn default_category(&self) -> Category {
        self.cut().map_or_else(|| Category(self.0.clone()), |(category, _)| category)
    }

    /// The aggregate id that a stream has when its first append names none: the part after the first `-`, or the whole name.
    pub fn default_aggregate_id(&self) -> AggregateId {
        self.cut().map_or_else(|| AggregateId(self.0.clone()), |(_, id)| id)
    }

    fn cut(&self) -> Option<(Category, AggregateId)> {
        let (category, id) = self.0.split_once('-')?;
        Some((Category::parse(category).ok()?, AggregateId::parse(id).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["Payment-p1", "a", "App\\Domain\\Paid", "été", "x y", &"a".repeat(200)] {
            assert!(StreamName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "$a", "a\0b", "a\u{7f}", "a\u{85}", "\n", &"a".repeat(201)] {
            assert!(StreamName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn category_and_aggregate_id_come_from_the_first_dash() {
        let cut = |name: &str| {
            let name = StreamName::recorded(name);
            (name.default_category().to_string(), name.default_aggregate_id().to_string())
        };
        assert_eq!(cut("Payment-p1-x"), ("Payment".into(), "p1-x".into()));
        assert_eq!(cut("ledger"), ("ledger".into(), "ledger".into()));
        assert_eq!(cut("-x"), ("-x".into(), "-x".into()));
        assert_eq!(cut("x-"), ("x-".into(), "x-".into()));
    }
}
