use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use parking_lot::Mutex;
use polylog_log::{Acks, Commit, Identity, Limits, Member, Position, SourceName, Verdict, Version};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Acknowledged, AppendError, InvalidCommit,
    followers::Followers,
    heads::Heads,
    reader::Reader,
    recent::Recent,
    replicated::{Kept, Replica, SetAside},
    verification::Board,
    writer::Writer,
};

/// Followers that are behind read pages of their own; only this many at once, whatever their number.
const PAGES_AT_ONCE: usize = 4;

/// What the tasks, readers and followers of one store share.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) source_name: SourceName,
    pub(crate) reader: Reader,
    pub(crate) identity: Identity,
    /// The voters of the log, as the manifest says.
    pub(crate) voters: Vec<Member>,
    /// Those that only follow.
    pub(crate) learners: Vec<Member>,
    pub(crate) limits: Limits,
    pub(crate) writer: Writer,
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
    /// What verification knows.
    pub(crate) board: Arc<Board>,
    /// What stands in quarantine.
    pub(crate) set_aside: Arc<SetAside>,
    pub(crate) replicas: Vec<Replica>,
    acknowledged: AtomicU64,
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "called once")]
    pub(crate) fn new(
        name: String,
        source_name: SourceName,
        reader: Reader,
        identity: Identity,
        voters: Vec<Member>,
        learners: Vec<Member>,
        limits: Limits,
        writer: Writer,
        heads: Arc<Heads>,
        recent_bytes: usize,
        replicas: Vec<Replica>,
    ) -> Self {
        Self {
            name,
            source_name,
            reader,
            identity,
            voters,
            learners,
            limits,
            writer,
            heads,
            recent: Recent::new(recent_bytes),
            policy: watch::Sender::new(None),
            policy_version: Mutex::new(Version::ZERO),
            pages: Semaphore::new(PAGES_AT_ONCE),
            stop: CancellationToken::new(),
            followers: Followers::default(),
            follower_came: Notify::new(),
            board: Arc::default(),
            set_aside: Arc::default(),
            replicas,
            acknowledged: AtomicU64::new(0),
        }
    }

    /// Appends a commit, and answers once it has the store's ack level or `acks`, whichever is higher.
    pub(crate) async fn append(
        &self,
        commit: Commit,
        acks: Option<Acks>,
        deadline: Instant,
    ) -> Result<Acknowledged, AppendError> {
        let kept = match &self.writer {
            // with one voter, what the primary holds has every ack level
            Writer::One(queue) => {
                let verdict = queue.append(commit, deadline).await?;
                Kept { verdict, by: vec![self.source_name.clone()] }
            }
            Writer::Many(handle) => handle.append(commit, acks, deadline).await?,
        };
        self.judge(kept)
    }

    /// What a verdict of the log means for the caller.
    fn judge(&self, Kept { verdict, by: acked_by }: Kept) -> Result<Acknowledged, AppendError> {
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
