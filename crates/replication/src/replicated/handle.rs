use std::{sync::Arc, time::Instant};

use polylog_log::{Acks, Commit, Config, Point, SourceName, Verdict};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::View;
use crate::AppendError;

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
                return Err(AppendError::Overloaded { retry_after: std::time::Duration::from_millis(50) });
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

    /// Takes no more appends; the task ends once everything that was taken is answered.
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// What is seen from now on.
    pub(crate) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }
}
