use serde::{Deserialize, Serialize};

use crate::Commit;

/// How large events and commits may be; checked before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one event's data.
    pub event_bytes: u64,
    /// Bytes of one event's metadata.
    pub metadata_bytes: u64,
    /// Events of one commit.
    pub commit_events: u64,
    /// Bytes of one commit: data, metadata, types and ids of correlation.
    pub commit_bytes: u64,
}

/// Longest content type, correlation id or causation id, in bytes.
const LONGEST_ATTRIBUTE: u64 = 200;

/// A limit that a commit exceeds; nothing was written. Send less at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit} allows {allowed}, got {got}{}", event.map_or(String::new(), |index| format!(" in event {index}")))]
pub struct LimitExceeded {
    /// Its name as in the manifest.
    pub limit: &'static str,
    /// Its value.
    pub allowed: u64,
    /// What was sent.
    pub got: u64,
    /// Index (0-based) of the event in its commit, for limits on one event.
    pub event: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes: 256 << 10, metadata_bytes: 16 << 10, commit_events: 500, commit_bytes: 1 << 20 }
    }
}

impl Limits {
    /// The stricter of both, limit by limit.
    #[must_use]
    pub fn intersect(self, other: Limits) -> Self {
        Self {
            event_bytes: self.event_bytes.min(other.event_bytes),
            metadata_bytes: self.metadata_bytes.min(other.metadata_bytes),
            commit_events: self.commit_events.min(other.commit_events),
            commit_bytes: self.commit_bytes.min(other.commit_bytes),
        }
    }

    /// Checks a commit of a client.
    pub fn check(&self, commit: &Commit) -> Result<(), LimitExceeded> {
        let within = |limit, allowed, got: usize, event| {
            let got = got as u64;
            if got > allowed { Err(LimitExceeded { limit, allowed, got, event }) } else { Ok(()) }
        };
        within("commitEvents", self.commit_events, commit.event_count(), None)?;
        for (index, event) in commit.events().enumerate() {
            let index = Some(index);
            let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            within("eventBytes", self.event_bytes, event.data.len(), index)?;
            within(
                "metadataBytes",
                self.metadata_bytes,
                event.metadata.as_ref().map_or(0, |m| m.len()),
                index,
            )?;
            within("contentType", LONGEST_ATTRIBUTE, event.content_type.len(), index)?;
            within("correlationId", LONGEST_ATTRIBUTE, length(&event.correlation_id), index)?;
            within("causationId", LONGEST_ATTRIBUTE, length(&event.causation_id), index)?;
        }
        within("commitBytes", self.commit_bytes, commit.size(), None)
    }
}
