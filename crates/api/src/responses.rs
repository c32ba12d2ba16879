use polylog_log::{
    DatabaseId, Digest, LogId, Position, SourceName, StreamName, StreamReceipt, Term, Timestamp, Version,
};
use serde::{Deserialize, Serialize};

use crate::{ReceivedEvent, Token};

/// Answer to an append to one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppendAnswer {
    /// The stream.
    pub stream: StreamName,
    /// Version of the first event; this and the next three are absent where only the version was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_version: Option<Version>,
    /// Version of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_version: Option<Version>,
    /// Position of the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_position: Option<Position>,
    /// Position of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_position: Option<Position>,
    /// The term it was written under.
    pub term: Term,
    /// The sources that hold it.
    pub acks: Vec<SourceName>,
    /// Whether an earlier try had written it.
    pub repeated: bool,
    /// For reads that must see it.
    pub token: Token,
}

/// Answer to an append to several streams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitsAnswer {
    /// One per stream that got events, in the order of the request.
    pub results: Vec<StreamResult>,
    /// The term it was written under.
    pub term: Term,
    /// The sources that hold it.
    pub acks: Vec<SourceName>,
    /// Whether an earlier try had written it.
    pub repeated: bool,
    /// For reads that must see it.
    pub token: Token,
}

/// Where one stream's events of a commit stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamResult {
    /// The stream.
    pub stream: StreamName,
    /// Version of the first event.
    pub first_version: Version,
    /// Version of the last event.
    pub last_version: Version,
    /// Position of the first event.
    pub first_position: Position,
    /// Position of the last event.
    pub last_position: Position,
}

impl From<StreamReceipt> for StreamResult {
    fn from(receipt: StreamReceipt) -> Self {
        let StreamReceipt { stream, first_version, last_version, first_position, last_position } = receipt;
        Self { stream, first_version, last_version, first_position, last_position }
    }
}

impl CommitsAnswer {
    /// The same as the answer to an append to `stream` alone.
    pub fn into_append(self, stream: StreamName) -> AppendAnswer {
        let result = self.results.into_iter().next();
        AppendAnswer {
            stream,
            first_version: result.as_ref().map(|result| result.first_version),
            last_version: result.as_ref().map(|result| result.last_version),
            first_position: result.as_ref().map(|result| result.first_position),
            last_position: result.as_ref().map(|result| result.last_position),
            term: self.term,
            acks: self.acks,
            repeated: self.repeated,
            token: self.token,
        }
    }
}

/// Which source answered a read, and how it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// The source.
    pub source: SourceName,
    /// The end of its log.
    pub position: Position,
    /// How many events it is behind the primary, as far as known.
    pub lag: u64,
}

/// Answer to a read of a stream (`N` = version) or of the log (`N` = position), as a client receives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadPage<N> {
    /// In the order asked for.
    pub events: Vec<ReceivedEvent>,
    /// Where the next page begins; beyond everything that was looked at, whether it matched or not.
    pub next_from: N,
    /// Whether there was nothing more.
    pub at_end: bool,
    /// Who answered.
    pub served: Served,
}

/// Answer to a read of a stream's head, as a client receives it.
#[derive(Debug, Clone, Deserialize)]
pub struct StreamHeadAnswer {
    /// Version of the last event.
    pub version: Version,
    /// The last event.
    pub last: ReceivedEvent,
}

/// Where an event is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationsAnswer {
    /// Its position.
    pub position: Position,
    /// One per source.
    pub locations: Vec<Location>,
}

/// Whether one source holds an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The source.
    pub source: SourceName,
    /// Whether it holds the event.
    pub present: bool,
    /// The term of its entry there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<Term>,
    /// Its digest there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Why it is not there, or could not be looked up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Answer to a list of stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreList {
    /// Those that the caller may see.
    pub stores: Vec<StoreStatus>,
}

/// State of a store. What is not measured is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// Its name.
    pub name: String,
    /// The id of its log; absent before it is provisioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_id: Option<LogId>,
    /// The primary; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<SourceName>,
    /// The highest term known.
    pub term: Term,
    /// The end of the log, one per lane.
    pub positions: Vec<Position>,
    /// Its sources.
    pub sources: Vec<SourceStatus>,
    /// How much of what was compared is equal, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency_percent: Option<String>,
    /// How much was compared, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_percent: Option<String>,
    /// Position of the `$config` in force.
    pub config_position: Position,
    /// Version of the process that answers.
    pub sidecar_version: String,
    /// What the caller may do.
    pub verbs: Vec<String>,
    /// What became of its mounted configuration; absent where it is not mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationStatus>,
}

/// What became of a store's mounted configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStatus {
    /// `InForce`; `Refused`: the one before is in force; `Differs`: the log says something else; `RestartNeeded`: a part
    /// of it takes effect with a new process.
    pub state: String,
    /// Why, for programs; absent where it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// State of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Its name.
    pub name: SourceName,
    /// Its engine, like `sqlite`.
    pub engine: String,
    /// `Voter` or `Learner`.
    pub role: String,
    /// `InSync`, `Unprovisioned`, `Unreachable` and so on.
    pub state: String,
    /// The id of its database in this log; absent before it is provisioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_id: Option<DatabaseId>,
    /// Its term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<Term>,
    /// The end of its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// How many events it is behind the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_events: Option<u64>,
    /// How many seconds it is behind the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// What comparing and reading it again found; absent where the process that answers does not verify it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<VerifiedStatus>,
    /// What is wrong, or worth knowing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What comparing a source and reading it again found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedStatus {
    /// Everything up to this position was read at least once.
    pub through: Position,
    /// Where the log ended then.
    pub end: Position,
    /// Since when that was.
    pub since: Timestamp,
    /// Events that are not there, and that nobody could write back.
    pub missing: u64,
    /// Events that are not what the log's chain says, and that nobody could, or may, write over.
    pub differing: u64,
    /// Rows behind the log's end.
    pub extra: u64,
    /// Rows that were written back since this process opened the store.
    pub repaired: u64,
    /// The highest request to verify that was carried out.
    pub answered: u64,
}
