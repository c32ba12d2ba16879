use std::fmt;

use crate::{LogId, encoding};

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Wraps recorded bytes.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidHex;
            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let mut bytes = [0; $length];
                if text.len() != 2 * $length || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(InvalidHex);
                }
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| InvalidHex)?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidHex)?;
                }
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Not the expected number of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest in hexadecimal")]
pub struct InvalidHex;

hash!(
    /// Hash of all recorded fields of an event, with its data's digest in place of the data and without the term.
    Digest,
    16
);
hash!(
    /// Hash over a log's whole history up to the end of an entry. Equal chains mean equal histories.
    Chain,
    16
);
hash!(
    /// Keyed hash of what a caller sent as one commit; tells a retry from a reused id.
    Fingerprint,
    16
);
hash!(
    /// SHA-256 of an event's data as stored.
    DataDigest,
    32
);

impl DataDigest {
    /// Hashes stored data.
    pub fn of(data: &[u8]) -> Self {
        Self(encoding::sha256(data))
    }
}

impl Chain {
    /// The chain before the first entry of a log.
    pub fn start(log: LogId) -> Self {
        let mut encoder = encoding::Encoder::new("polylog v1 entry");
        encoder.bytes(log.as_bytes());
        Self(encoder.hash128())
    }
}

impl Digest {
    /// Digests combine by XOR, so that a range's digest does not depend on the order in which it is read.
    pub fn combine(&mut self, other: Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a ^= b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips_and_nothing_else_parses() {
        let chain = Chain::from_bytes([0xab; 16]);
        assert_eq!(chain.to_string().parse(), Ok(chain));
        for bad in ["", "ab", "zz".repeat(16).as_str(), "é".repeat(16).as_str(), "+1".repeat(16).as_str()] {
            assert!(bad.parse::<Chain>().is_err(), "{bad}");
        }
    }
}
