use std::time::Instant;

use bytes::Bytes;
use polylog_log::{
    Acks, Category, Commit, CommitReceipt, EventId, Identity, Limits, Point, Position, SourceName, StreamName,
};
use tokio::sync::watch;

use crate::{
    AppendError, DesiredConfig, EventRead, FollowOptions, Follower, LogQuery, LogRead, LogReader, OpenError,
    ReadError, ReadOptions, Start, StoreOptions, StoreStatus, StreamHeadRead, StreamQuery, StreamRead,
};

/// An open log: appends, reads and followers. Clones share everything.
#[derive(Clone)]
pub struct Store {}

/// An append that has its ack level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Where the commit stands; `None` for a commit that only checked versions.
    pub receipt: Option<CommitReceipt>,
    /// The end of the commit, or the tail at which the check held: what a token names. Its term is the commit's own.
    pub point: Point,
    /// The sources that hold it.
    pub acked_by: Vec<SourceName>,
    /// Whether an earlier try had already written it.
    pub repeated: bool,
}

impl Store {
    /// Opens a provisioned log: follows the term that is open, or opens one if it may, and brings `$config` and
    /// `$policy` to what the options say.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let _ = options;
        todo!()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Log, database and incarnation.
    pub fn identity(&self) -> Identity {
        todo!()
    }

    /// What a commit may hold: the manifest's limits and the source's.
    pub fn limits(&self) -> Limits {
        todo!()
    }

    /// Appends a commit, and answers once it has the store's ack level or `acks`, whichever is higher.
    ///
    /// A commit without events only checks the versions: one strong check, nothing is written. Dropping the future does
    /// not take the commit back. The deadline is shortened to the store's `ack_timeout`.
    pub async fn append(
        &self,
        commit: Commit,
        acks: Option<Acks>,
        deadline: Instant,
    ) -> Result<Acknowledged, AppendError> {
        let _ = (commit, acks, deadline);
        todo!()
    }

    /// Makes `config` the log's configuration, if it is not.
    pub async fn set_config(&self, config: &DesiredConfig) -> Result<(), OpenError> {
        let _ = config;
        todo!()
    }

    /// Makes `policy` the log's policy, if it is not.
    pub async fn set_policy(&self, policy: Bytes) -> Result<(), AppendError> {
        let _ = policy;
        todo!()
    }

    /// The log's policy; follows it within a second.
    pub fn policy(&self) -> watch::Receiver<Option<Bytes>> {
        todo!()
    }

    /// A page of the log.
    pub async fn read_log(&self, query: &LogQuery, options: &ReadOptions) -> Result<LogRead, ReadError> {
        let _ = (query, options);
        todo!()
    }

    /// A page of one category.
    pub async fn read_category(
        &self,
        category: &Category,
        query: &LogQuery,
        options: &ReadOptions,
    ) -> Result<LogRead, ReadError> {
        let _ = (category, query, options);
        todo!()
    }

    /// A page of one stream.
    pub async fn read_stream(
        &self,
        query: &StreamQuery,
        options: &ReadOptions,
    ) -> Result<StreamRead, ReadError> {
        let _ = (query, options);
        todo!()
    }

    /// The end of a stream.
    pub async fn stream_head(
        &self,
        stream: &StreamName,
        options: &ReadOptions,
    ) -> Result<StreamHeadRead, ReadError> {
        let _ = (stream, options);
        todo!()
    }

    /// The event with this id.
    pub async fn find(&self, id: EventId, options: &ReadOptions) -> Result<EventRead, ReadError> {
        let _ = (id, options);
        todo!()
    }

    /// The event at this position.
    pub async fn event_at(&self, position: Position, options: &ReadOptions) -> Result<EventRead, ReadError> {
        let _ = (position, options);
        todo!()
    }

    /// Reads the log forward, as far as it went when the call was made, one page ahead of its reader. `query.limit` and
    /// `query.max_bytes` are those of one page; `query.backward` is ignored.
    pub async fn read_all(&self, query: &LogQuery, options: &ReadOptions) -> Result<LogReader, ReadError> {
        let _ = (query, options);
        todo!()
    }

    /// A follower of the log.
    pub async fn follow(&self, start: Start, options: FollowOptions) -> Result<Follower, ReadError> {
        let _ = (start, options);
        todo!()
    }

    /// How the store is now; asks the source, for a second at most.
    pub async fn status(&self) -> StoreStatus {
        todo!()
    }

    /// Takes no more appends, ends the followers, and returns when everything that was taken is answered.
    pub async fn drain(&self) {
        todo!()
    }
}
