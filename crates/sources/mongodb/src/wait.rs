use std::{future::IntoFuture, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use mongodb::{bson::doc, options::ReadConcern};
use polylog_log::Position;
pub(crate) use polylog_source_servers::wait::publish;
use polylog_source_servers::wait::{Look, Pace, Watcher};

use crate::{connection::Handle, fields::Fields, schema::LANE};

/// Looks at the head's document. Not a change stream: not every server has them, and one costs more than a look.
pub(crate) struct TailLook {
    handle: Arc<Handle>,
}

/// A watcher of this database.
pub(crate) fn watcher(handle: &Arc<Handle>, tail: Position) -> Watcher<TailLook> {
    let pace = Pace { interval: handle.config.poll_interval, patience: handle.config.request_timeout };
    let handle = handle.clone();
    Watcher::new(tail, pace, move || TailLook { handle: handle.clone() })
}

impl Look for TailLook {
    fn look(&mut self) -> BoxFuture<'_, Option<Position>> {
        async {
            // a hint, so that nobody needs to be asked whether it is the newest
            let find = self.handle.connected().await.ok()?.head.find_one(doc! { "_id": LANE });
            let find = find.projection(doc! { "tail": 1 }).read_concern(ReadConcern::local());
            let found = self.handle.patiently(find.into_future()).await.ok()??;
            Some(Fields::of("the head", &found).point("tail").ok()?.position)
        }
        .boxed()
    }

    fn close(&mut self) {}
}
