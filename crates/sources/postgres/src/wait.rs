use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use polylog_log::Position;
pub(crate) use polylog_source_servers::wait::publish;
use polylog_source_servers::wait::{Look, Pace, Watcher};

use crate::connection::{Handle, Slot};

/// Looks at the head's row.
///
/// Looking instead of LISTEN: every NOTIFY takes a lock of the whole server at its commit, so that the commits of all
/// its databases would stand in one line; and a connection that listens is lost on the way through a pooler.
pub(crate) struct TailLook {
    handle: Arc<Handle>,
    slot: Slot,
}

/// A watcher of this database.
pub(crate) fn watcher(handle: &Arc<Handle>, tail: Position) -> Watcher<TailLook> {
    let pace = Pace { interval: handle.config.poll_interval, patience: handle.config.request_timeout };
    let handle = handle.clone();
    Watcher::new(tail, pace, move || TailLook { handle: handle.clone(), slot: Slot::default() })
}

impl Look for TailLook {
    fn look(&mut self) -> BoxFuture<'_, Option<Position>> {
        async {
            let (connection, _) = self.slot.connection(&self.handle).await.ok()?;
            let tail = sqlx::query_scalar("SELECT tail_position FROM polylog_head WHERE lane = 0");
            let tail: i64 = tail.fetch_one(connection).await.ok()?;
            Some(Position::new(tail.unsigned_abs()))
        }
        .boxed()
    }

    fn close(&mut self) {
        self.slot.close();
    }
}
