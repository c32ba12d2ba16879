use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::encoding::Encoder;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Its 16 bytes, in network order.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From 16 bytes in network order.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// An event's id, unique in its log; the caller's, else a UUIDv7.
    EventId
);
id!(
    /// A log's id: given once, at provisioning, and the same in all its sources (outwardly: `storeId`).
    LogId
);
id!(
    /// One database's id within a log; written at provisioning.
    DatabaseId
);
id!(
    /// One adoption of a database by a log: changes when the database is adopted again after a loss or a restore.
    Incarnation
);
id!(
    /// Identity of a commit, unique in its log: what makes retries harmless.
    CommitId
);
id!(
    /// Fresh random bits of one election attempt.
    Nonce
);

/// A UUIDv7 begins with this many bytes of time.
const TIME_BYTES: usize = 6;

impl CommitId {
    /// The identity of a commit that came without an idempotency key: a hash of its event ids in their order, whose
    /// first 48 bits are those of the first event's id. Where that is a UUIDv7 they are its time: so the ids of new
    /// commits stand side by side in a database's index, instead of touching a page of their own each.
    pub fn from_events(ids: impl ExactSizeIterator<Item = EventId>) -> Self {
        let mut encoder = Encoder::new("polylog v1 commit");
        encoder.number(ids.len() as u64);
        let mut first = None;
        for id in ids {
            first = first.or(Some(id));
            encoder.bytes(id.as_bytes());
        }
        let mut bytes = encoder.hash128();
        if let Some(first) = first {
            bytes[..TIME_BYTES].copy_from_slice(&first.as_bytes()[..TIME_BYTES]);
        }
        Self(Uuid::new_v8(bytes))
    }

    /// The identity of a commit that came with an idempotency key: UUIDv5 under the log's id of operation, the caller's
    /// scope and the key, each length-prefixed.
    pub fn from_key(log: LogId, operation: &str, scope: &str, key: &str) -> Self {
        Self(Uuid::new_v5(&log.0, &key_name(operation, scope, key, None)))
    }
}

impl EventId {
    /// The id of the event number `index` (0-based over the whole commit) of a commit with an idempotency key.
    pub fn from_key(log: LogId, operation: &str, scope: &str, key: &str, index: u64) -> Self {
        Self(Uuid::new_v5(&log.0, &key_name(operation, scope, key, Some(index))))
    }
}

fn key_name(operation: &str, scope: &str, key: &str, index: Option<u64>) -> Vec<u8> {
    let mut encoder = Encoder::new("polylog v1 key");
    encoder.text(operation);
    encoder.text(scope);
    encoder.text(key);
    encoder.optional(index.map(u64::to_le_bytes).as_ref().map(|bytes| &bytes[..]));
    encoder.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_the_same_ids_and_its_parts_cannot_be_shifted() {
        let log = LogId::new(Uuid::from_u128(1));
        let id = |scope, key| CommitId::from_key(log, "append", scope, key);
        assert_eq!(id("s", "k"), id("s", "k"));
        assert_ne!(id("sk", ""), id("s", "k"));
        assert_ne!(
            EventId::from_key(log, "append", "s", "k", 0),
            EventId::from_key(log, "append", "s", "k", 1)
        );
    }

    #[test]
    fn a_commit_id_depends_on_the_order_of_events() {
        let (a, b) = (EventId::new(Uuid::from_u128(1)), EventId::new(Uuid::from_u128(2)));
        assert_ne!(CommitId::from_events([a, b].into_iter()), CommitId::from_events([b, a].into_iter()));
        let c = EventId::new(Uuid::from_u128(3));
        assert_ne!(CommitId::from_events([a, b].into_iter()), CommitId::from_events([a, c].into_iter()));
    }

    #[test]
    fn commit_ids_rise_with_the_time_of_version_7_ids() {
        let id = |millis: u64| {
            EventId::new(Uuid::new_v7(uuid::Timestamp::from_unix(
                uuid::NoContext,
                millis / 1000,
                u32::try_from(millis % 1000).expect("below 1000") * 1_000_000,
            )))
        };
        let ids: Vec<_> =
            (0..100).map(|n| CommitId::from_events([id(1_800_000_000_000 + n)].into_iter())).collect();
        assert!(ids.is_sorted());
        assert_eq!(Uuid::from_bytes(*ids[0].as_bytes()).get_version_num(), 8);
    }
}
