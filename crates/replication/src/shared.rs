use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;
use polylog_log::{Identity, Limits, Position, Source, SourceName, Verdict, Version};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Acknowledged, AppendError, InvalidCommit, appender::Queue, followers::Followers, heads::Heads,
    recent::Recent,
};

/// Followers that are behind read pages of their own; only this many at once, whatever their number.
const PAGES_AT_ONCE: usize = 4;

/// What the tasks, readers and followers of one store share.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) source_name: SourceName,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) queue: Arc<Queue>,
    pub(crate) heads: Arc<Heads>,
    pub(crate) recent: Recent,
    pub(crate) policy: watch::Sender<Option<Bytes>>,
    /// The version of the `$policy` that was published last.
    pub(crate) policy_version: Mutex<Version>,
    pub(crate) pages: Semaphore,
    /// Ends followers and the tail's reader.
    pub(crate) stop: CancellationToken,
    pub(crate) followers: Followers,
    /// Wakes the tail's reader for the first follower.
    pub(crate) follower_came: Notify,
    acknowledged: AtomicU64,
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "called once")]
    pub(crate) fn new(
        name: String,
        source_name: SourceName,
        source: Arc<dyn Source>,
        identity: Identity,
        limits: Limits,
        queue: Arc<Queue>,
        heads: Arc<Heads>,
        recent_bytes: usize,
    ) -> Self {
        Self {
            name,
            source_name,
            source,
            identity,
            limits,
            queue,
            heads,
            recent: Recent::new(recent_bytes),
            policy: watch::Sender::new(None),
            policy_version: Mutex::new(Version::ZERO),
            pages: Semaphore::new(PAGES_AT_ONCE),
            stop: CancellationToken::new(),
            followers: Followers::default(),
            follower_came: Notify::new(),
            acknowledged: AtomicU64::new(0),
        }
    }

    /// What a verdict of the source means for the caller. With one voter, what the primary holds has every ack level.
    pub(crate) fn judge(&self, verdict: Verdict) -> Result<Acknowledged, AppendError> {
        let acked_by = vec![self.source_name.clone()];
        let (receipt, repeated) = match verdict {
            Verdict::Committed(receipt) => (receipt, false),
            Verdict::Duplicate(receipt) => (receipt, true),
            Verdict::Checked(point) => {
                return Ok(Acknowledged { receipt: None, point, acked_by, repeated: false });
            }
            Verdict::VersionConflict { conflicts, at } => {
                return Err(AppendError::VersionConflict { conflicts, at });
            }
            Verdict::IdConflict { id, stream, position, .. } => {
                return Err(AppendError::IdConflict { id, stream, position });
            }
            Verdict::OtherAttributes { stream, recorded, .. } => {
                return Err(AppendError::OtherAttributes { stream, recorded: Box::new(recorded) });
            }
            Verdict::StreamTwice { stream, .. } => return Err(InvalidCommit::StreamTwice(stream).into()),
        };
        let point = receipt.point();
        self.acknowledged.fetch_max(point.position.get(), Ordering::AcqRel);
        Ok(Acknowledged { receipt: Some(receipt), point, acked_by, repeated })
    }

    pub(crate) fn has_followers(&self) -> bool {
        self.followers.count() > 0
    }

    /// The highest position that this process acknowledged.
    pub(crate) fn acknowledged(&self) -> Position {
        Position::new(self.acknowledged.load(Ordering::Acquire))
    }
}
