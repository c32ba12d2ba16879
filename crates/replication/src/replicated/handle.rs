use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{Acks, Commit, Config, Point, SourceName, Verdict};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Answered, View};
use crate::{AppendError, PrimaryWish, quorum::ForceRefused};

/// What the driver is asked to do.
pub(super) enum Command {
    Append {
        commit: Commit,
        acks: Option<Acks>,
        deadline: Instant,
        reply: oneshot::Sender<Result<Kept, AppendError>>,
    },
    Prove {
        deadline: Instant,
        reply: oneshot::Sender<Option<Point>>,
    },
    Want(Box<Config>),
    WantPrimary(PrimaryWish),
    Duties(bool),
    Force {
        absent: BTreeSet<SourceName>,
        reply: oneshot::Sender<Result<(), ForceRefused>>,
    },
    Failover {
        after: Duration,
        opens_minority: bool,
    },
}

/// A verdict that has its ack level.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) verdict: Verdict,
    /// The sources that are known to hold what it rests on.
    pub(crate) by: Vec<SourceName>,
}

/// The way to a [`Driver`](super::Driver), which ends with the last of its handles.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) view: watch::Receiver<Arc<View>>,
    pub(super) drain: CancellationToken,
    pub(super) drained: watch::Receiver<bool>,
    pub(super) answered: Arc<Answered>,
}

impl Handle {
    /// Hands in a commit and waits for its outcome. Dropping the future does not take the commit back.
    pub(crate) async fn append(
        &self,
        commit: Commit,
        acks: Option<Acks>,
        deadline: Instant,
    ) -> Result<Kept, AppendError> {
        let (reply, outcome) = oneshot::channel();
        let command = Command::Append { commit, acks, deadline, reply };
        let until = tokio::time::Instant::from_std(deadline);
        match tokio::time::timeout_at(until, self.commands.send(command)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(AppendError::Draining),
            Err(_) => {
                return Err(AppendError::Overloaded { retry_after: Duration::from_millis(50) });
            }
        }
        // the task answers everybody; if it is gone without having done so, nothing is known
        outcome.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }

    /// The place up to which a strong read that begins now must see everything; `None` = not found in time.
    pub(crate) async fn prove(&self, deadline: Instant) -> Option<Point> {
        let (reply, proof) = oneshot::channel();
        let until = tokio::time::Instant::from_std(deadline);
        let sent =
            tokio::time::timeout_at(until, self.commands.send(Command::Prove { deadline, reply })).await;
        sent.ok()?.ok()?;
        proof.await.ok()?
    }

    /// The log is to have this configuration, whose version does not matter; nothing happens without duties.
    pub(crate) async fn want(&self, config: Config) {
        // a driver that ended wants nothing any more
        let _ = self.commands.send(Command::Want(Box::new(config))).await;
    }

    /// Which source should be primary. Nothing happens without duties.
    pub(crate) async fn want_primary(&self, wish: PrimaryWish) {
        let _ = self.commands.send(Command::WantPrimary(wish)).await;
    }

    /// From now on the driver elects and copies to those that fell behind, or no longer does.
    pub(crate) async fn set_duties(&self, has_duties: bool) {
        let _ = self.commands.send(Command::Duties(has_duties)).await;
    }

    /// From now on another primary is elected after this long without a sign of life, and the log opened with whatever voters
    /// answer, or no longer so.
    pub(crate) async fn set_failover(&self, after: Duration, opens_minority: bool) {
        let _ = self.commands.send(Command::Failover { after, opens_minority }).await;
    }

    /// Opens the log without these voters, of which somebody says that they are stopped or cut off.
    pub(crate) async fn force(&self, absent: BTreeSet<SourceName>) -> Result<(), ForceRefused> {
        let (reply, outcome) = oneshot::channel();
        let sent = self.commands.send(Command::Force { absent, reply }).await;
        match sent {
            Ok(()) => outcome.await.unwrap_or(Err(ForceRefused::NoDuties)),
            Err(_) => Err(ForceRefused::NoDuties),
        }
    }

    /// Ends once it drains.
    pub(crate) async fn drains(&self) {
        self.drain.cancelled().await;
    }

    /// Takes no more appends; see [`Self::drained`].
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    /// Returns once no more appends are taken and everything that was taken is answered.
    pub(crate) async fn drained(&self) {
        let mut drained = self.drained.clone();
        // a task that is gone takes nothing either
        let _ = drained.wait_for(|drained| *drained).await;
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Takes that a reader has an answer of this source.
    pub(crate) fn answered(&self, name: &SourceName) {
        self.answered.mark(name, tokio::time::Instant::now().into_std());
    }

    /// What is seen from now on.
    pub(crate) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Waits until something is seen anew, or after a failure for a pause; `false` = the store drains.
    pub(crate) async fn goes_on(
        &self,
        views: &mut watch::Receiver<Arc<View>>,
        pause: Option<Duration>,
    ) -> bool {
        let changed = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                // ends with the driver; `drains` tells
                None => {
                    if views.changed().await.is_err() {
                        std::future::pending().await
                    }
                }
            }
        };
        tokio::select! {
            () = self.drains() => false,
            () = changed => true,
        }
    }
}
