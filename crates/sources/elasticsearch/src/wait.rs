use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use polylog_log::Position;
pub(crate) use polylog_source_servers::wait::publish;
use polylog_source_servers::wait::{Look, Pace, Watcher};

use crate::connection::Handle;

/// Looks at the head's document: the server tells nobody of changes.
pub(crate) struct TailLook {
    handle: Arc<Handle>,
}

/// A watcher of this log.
pub(crate) fn watcher(handle: &Arc<Handle>, tail: Position) -> Watcher<TailLook> {
    let pace = Pace { interval: handle.config.poll_interval, patience: handle.config.request_timeout };
    let handle = handle.clone();
    Watcher::new(tail, pace, move || TailLook { handle: handle.clone() })
}

impl Look for TailLook {
    fn look(&mut self) -> BoxFuture<'_, Option<Position>> {
        async {
            // a hint, so that nobody needs to be asked whether it is the newest
            self.handle.tail().await.ok()
        }
        .boxed()
    }

    fn close(&mut self) {}
}
