use std::fmt;

use serde::{Deserialize, Serialize};

/// Largest number that every client reads exactly: JavaScript's safe integers end at 2^53 − 1.
const LARGEST: u64 = (1 << 53) - 1;

/// A number that does not fit: above 2^53 − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be at most 9007199254740991, got {got}")]
pub struct NumberError {
    what: &'static str,
    got: u64,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            /// Before the first one; also "none".
            pub const ZERO: Self = Self(0);
            /// The first one.
            pub const FIRST: Self = Self(1);

            /// Takes a number of 0 to 2^53 − 1; a larger one is a programming error and saturates.
            pub const fn new(number: u64) -> Self {
                if number > LARGEST { Self(LARGEST) } else { Self(number) }
            }

            /// The plain number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The one `by` further on.
            #[must_use]
            pub const fn plus(self, by: u64) -> Self {
                Self(self.0 + by)
            }

            /// The one before this; zero stays zero.
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }

            /// Whether this stands before the first.
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<u64> for $name {
            type Error = NumberError;
            fn try_from(number: u64) -> Result<Self, NumberError> {
                if number > LARGEST { Err(NumberError { what: $what, got: number }) } else { Ok(Self(number)) }
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> u64 {
                number.0
            }
        }
    };
}

number!(
    /// 1-based, dense, gap-free number of an event in the log; the same in every source.
    Position,
    "a position"
);
number!(
    /// 1-based number of an event in its stream; zero = the stream does not exist.
    Version,
    "a version"
);
number!(
    /// Grows at every change of primary; the fence. Zero = nothing was ever promised.
    Term,
    "a term"
);
