//! Where a store's commits go: one source, or several.

use std::sync::Arc;

use crate::{Sent, appender::Queue, replicated::Handle, shared::Shared, verification::Sight};

/// The source side of appending.
pub(crate) enum Writer {
    One(Arc<Queue>),
    Many(Handle),
}

impl Writer {
    /// How the sources are seen.
    pub(crate) fn sight(&self, of: &Shared) -> Sight {
        match self {
            Writer::One(_) => Sight::One(of.source_name.clone(), of.heads.clone()),
            Writer::Many(handle) => Sight::Many(handle.clone()),
        }
    }

    /// Refuses what comes from now on.
    pub(crate) fn drain(&self) {
        match self {
            Writer::One(queue) => queue.drain(),
            Writer::Many(handle) => handle.drain(),
        }
    }

    /// Returns once everything that was taken is answered. With one source its task ends then.
    pub(crate) async fn drained(&self) {
        match self {
            Writer::One(_) => {}
            Writer::Many(handle) => handle.drained().await,
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        match self {
            Writer::One(queue) => queue.is_draining(),
            Writer::Many(handle) => handle.view().is_draining,
        }
    }

    /// Commits and bytes that wait to be sent.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        match self {
            Writer::One(queue) => queue.waiting(),
            Writer::Many(handle) => handle.view().waiting,
        }
    }

    /// Batches that were answered so far.
    pub(crate) fn sent(&self) -> Sent {
        match self {
            Writer::One(queue) => queue.sent(),
            Writer::Many(handle) => handle.view().sent,
        }
    }
}
