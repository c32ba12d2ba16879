//! Hits by the index of a source that has one.

use polylog_log::{Find, Position};
use polylog_replication::{Search, Served};
use tokio::time::Instant;

use super::{
    asked::{AskedSearch, Sort},
    best::Best,
    run::{Looked, PAGE},
};
use crate::operations::{Call, PAGE_BYTES, View, indexed};

/// `None` = no index says what a look at the log would, or not in half of the time that there is.
pub(super) async fn look(
    call: &Call,
    view: &View,
    asked: &AskedSearch,
    search: &Search,
) -> Option<(Looked, Served)> {
    let left = call.deadline.saturating_duration_since(Instant::now()) / 2;
    tokio::time::timeout(left, ask(view, asked, search)).await.ok()?
}

async fn ask(view: &View, asked: &AskedSearch, search: &Search) -> Option<(Looked, Served)> {
    let mut sought = indexed::sought(view, search, asked.looks_at_content()).await?;
    asked.add_to(&mut sought);
    let after = asked.after.map(|cursor| cursor.after);
    let is_by_score = asked.sort == Sort::Score;
    let mut best = Best::new(after, asked.limit(), PAGE_BYTES);
    let mut find = Find {
        sought,
        order: asked.sort.of_index(),
        after: after.filter(|_| !is_by_score).map(|after| asked.sort.at(after)),
        // one more tells whether there are more
        max_events: if is_by_score { PAGE } else { asked.limit() + 1 },
        max_bytes: PAGE_BYTES + 1,
        counts: after.is_none(),
    };
    let mut total = None;
    loop {
        let (found, served) = search.find_by_index(find.clone()).await?;
        total = total.or(found.total);
        let last = found.events.last().map(|last| (last.event.time, last.event.position));
        for recorded in &found.events {
            // an index that says what a look at the event does not is not believed
            let (shown, _) = view.show(recorded)?;
            let score = asked.score(&shown)?;
            best.offer(asked.sort.key(recorded, score), recorded, score);
        }
        let is_enough = !is_by_score && best.has_more();
        if !found.has_more || is_enough || last.is_none() {
            let found = total.unwrap_or_default();
            return Some((Looked { best, found, next_from: Position::ZERO, is_complete: true }, served));
        }
        (find.after, find.counts) = (last, false);
    }
}
