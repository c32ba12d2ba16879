use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use polylog_log::Position;
pub(crate) use polylog_source_servers::wait::publish;
use polylog_source_servers::wait::{Look, Pace, Watcher};

use crate::{
    connection::{Handle, Slot},
    rows::number,
    tables::Statement,
};

const TAIL: Statement = Statement("SELECT tail_position FROM polylog_head WHERE lane = 0");

/// Looks at the head's row, since the server has nothing that tells of commits (only its binary log does, which mostly is
/// off and needs rights over the whole server). One row by its key, without a lock.
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
            let (session, _) = self.slot.session(&self.handle).await.ok()?;
            let row = session.query(TAIL).fetch_one(&mut session.connection).await.ok()?;
            number(&row, 0).ok().map(Position::new)
        }
        .boxed()
    }

    fn close(&mut self) {
        self.slot.close();
    }
}
