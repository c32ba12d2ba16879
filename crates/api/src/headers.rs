//! Names of the headers that Polylog reads and writes, in lower case.

/// In both directions: an opaque token of what the caller has seen ([`Token`](crate::Token)).
pub const TOKEN: &str = "polylog-token";
/// In answers: the source that answered.
pub const SOURCE: &str = "polylog-source";
/// In answers: the position of that source's log.
pub const POSITION: &str = "polylog-position";
/// In answers: how many events that source is behind.
pub const LAG: &str = "polylog-lag";
/// In answers: `hit` or `miss`.
pub const CACHE: &str = "polylog-cache";
/// In requests: how long the caller waits, like `2s`.
pub const TIMEOUT: &str = "polylog-timeout";
/// In requests: makes a retry of an append without event ids harmless.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// In requests: correlation id of every event that names none.
pub const CORRELATION_ID: &str = "polylog-correlation-id";
/// In requests: causation id of every event that names none.
pub const CAUSATION_ID: &str = "polylog-causation-id";
/// In requests: W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// In requests for a subscription: the last id that was seen.
pub const LAST_EVENT_ID: &str = "last-event-id";
/// In answers: seconds to wait before the next try.
pub const RETRY_AFTER: &str = "retry-after";

/// Media type of lines of JSON.
pub const NDJSON: &str = "application/x-ndjson";
/// Media type of server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Media type of errors.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A caller's key of one append, 1 to 200 visible ASCII characters: the same key, the same append.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 200 visible ASCII characters")]
pub struct InvalidKey;

impl IdempotencyKey {
    /// Reads a header's value.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidKey> {
        let is_key = (1..=200).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        if !is_key {
            return Err(InvalidKey);
        }
        String::from_utf8(value.to_vec()).map(Self).map_err(|_| InvalidKey)
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        for good in ["k", "order-17/pay", &"k".repeat(200)] {
            assert!(IdempotencyKey::parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "é", "a\n", &"k".repeat(201)] {
            assert!(IdempotencyKey::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
