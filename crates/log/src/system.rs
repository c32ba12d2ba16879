use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Commit, CommitId, Config, EventId, EventType, Expected, Fingerprint, LogId, NewEvent, Nonce, Point,
    SourceName, StreamAppend, StreamName, Term, Version,
};

/// Stream and type of the events that open a term.
pub const TERM: &str = "$term";
/// Stream and type of the events that hold the replication configuration.
pub const CONFIG: &str = "$config";
/// Stream and type of the events that hold access, schemas, validation and redaction.
pub const POLICY: &str = "$policy";

/// Content of a `$term` event: who was opened as primary, from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TermOpened {
    /// The term.
    pub term: Term,
    /// The election attempt.
    pub nonce: Nonce,
    /// The source that became primary.
    pub primary: SourceName,
    /// The tail it was opened at.
    pub from: Point,
    /// Opened without a majority.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Voters that were not asked; only when forced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<SourceName>,
}

impl Commit {
    /// The commit of a `$term` event. Its ids follow from term and nonce, so that a resent `open` writes the same.
    pub fn open_term(log: LogId, opened: &TermOpened) -> Self {
        let name = format!("{TERM}/{}/{}", opened.term, opened.nonce);
        system(log, TERM, &name, Expected::Any, to_json(opened))
    }

    /// The commit of a `$config` event; fails with a version conflict unless the one before it is the last.
    pub fn configure(log: LogId, config: &Config) -> Self {
        let expected = Version::new(u64::from(config.version.0)).previous();
        let content = to_json(config);
        let name = format!("{CONFIG}/{}/{}", config.version.0, crate::DataDigest::of(&content));
        system(log, CONFIG, &name, Expected::Version(expected), content)
    }

    /// The commit of a `$policy` event whose version will be `version`.
    pub fn set_policy(log: LogId, version: Version, policy: Vec<u8>) -> Self {
        let name = format!("{POLICY}/{version}/{}", crate::DataDigest::of(&policy));
        system(log, POLICY, &name, Expected::Version(version.previous()), policy)
    }
}

fn system(log: LogId, kind: &str, name: &str, expected: Expected, content: Vec<u8>) -> Commit {
    let id = EventId::new(Uuid::new_v5(&log.uuid(), name.as_bytes()));
    let event = NewEvent::json(id, EventType::recorded(kind), content);
    let appends = vec![StreamAppend::new(StreamName::recorded(kind), expected, vec![event])];
    Commit {
        id: CommitId::from_events([id].into_iter()),
        fingerprint: Fingerprint::of(log, &appends),
        appends,
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs with string keys serialise")
}
