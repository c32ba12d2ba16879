use std::{sync::Arc, time::Duration};

use polylog_log::{Config, Failure, Identity, Point, Position, SourceName, Term};

/// What a source is in the log's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Counts in acks and elections.
    Voter,
    /// Only follows.
    Learner,
}

/// How a source is at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// It is the primary of the term.
    Primary,
    /// It answers, but was not opened as primary.
    NotOpened,
    /// It does not do its work.
    Failing(Failure),
}

/// One source, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name.
    pub name: SourceName,
    /// What it is in the configuration.
    pub role: Role,
    /// How it is.
    pub state: SourceState,
    /// Log, database, incarnation.
    pub identity: Identity,
    /// Its term.
    pub term: Term,
    /// Where its log ends.
    pub position: Position,
    /// How many events it is behind.
    pub lag_events: u64,
    /// How long it is behind; `None` = not measured.
    pub lag: Option<Duration>,
}

/// A store, as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// Its name.
    pub name: String,
    /// Log, database and incarnation of the primary.
    pub identity: Identity,
    /// The primary of the term, if there is one.
    pub primary: Option<SourceName>,
    /// The term.
    pub term: Term,
    /// Where the log ends.
    pub tail: Point,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Where it stands in the log; zero = none was written yet.
    pub config_position: Position,
    /// Every source that holds the log.
    pub sources: Vec<SourceStatus>,
    /// Appends that wait to be sent.
    pub waiting_commits: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Number of followers.
    pub followers: usize,
    /// Whether it takes no more appends.
    pub is_draining: bool,
}
