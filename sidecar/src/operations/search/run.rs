use polylog_api::{Code, Problem};
use polylog_log::{Position, RecordedEvent, Select};
use polylog_replication::{ReadOptions, Search, Served};
use tokio::time::Instant;

use super::{
    asked::{AskedSearch, Sort},
    best::{Best, Key},
    cursor::Cursor,
    indexed,
};
use crate::{
    hosted::token_point,
    operations::{Call, PAGE_BYTES, View, errors},
};

/// Events of one page of the source.
pub(super) const PAGE: usize = 2_000;
/// Positions that one statement looks at, however few of them are wanted: it must end soon.
const WINDOW: u64 = 50_000;

/// A page of hits.
pub(crate) struct Hits {
    /// In the order asked for, with how well they fit; as recorded: they are still to be shown.
    pub(crate) hits: Vec<(RecordedEvent, f64)>,
    /// How many there are.
    pub(crate) total: u64,
    /// Whether `total` is more than what was found so far.
    pub(crate) is_exact: bool,
    /// For the next page.
    pub(crate) next: Option<Cursor>,
    /// Everything up to here was searched.
    pub(crate) searched_to: Position,
    pub(crate) served: Served,
}

/// Searches the log.
pub(crate) async fn search(
    call: &Call,
    view: &View,
    asked: &AskedSearch,
    options: &ReadOptions,
) -> Result<Hits, Problem> {
    let _place = call.server.room().search()?;
    let end = asked.after.map(|cursor| token_point(cursor.end));
    let search = call.hosted.store.search(end, options).await.map_err(errors::of_read)?;
    let (looked, served) = match indexed::look(call, view, asked, &search).await {
        Some(looked) => looked,
        None => (look(call, view, asked, &search).await?, search.served().clone()),
    };
    search.confirm().await.map_err(errors::of_read)?;
    let Looked { best, found, next_from, is_complete } = looked;
    let (total, is_exact) = match asked.after {
        Some(Cursor { total, is_exact, .. }) => (total, is_exact),
        None => (found, is_complete),
    };
    let after = match asked.sort {
        // what was looked at need not be looked at again, even if nothing was found
        Sort::Position if !is_complete && !best.has_more() => {
            Some(Key([next_from.previous().get().cast_signed(), 0, 0]))
        }
        _ => best.last().filter(|_| best.has_more()),
    };
    let end = search.end();
    let token = call.hosted.token_of_search(end);
    let next =
        after.map(|after| Cursor { end: token, fingerprint: asked.fingerprint, after, total, is_exact });
    Ok(Hits { hits: best.into_hits(), total, is_exact, next, searched_to: end.position, served })
}

pub(super) struct Looked {
    pub(super) best: Best,
    /// Hits that were met.
    pub(super) found: u64,
    /// Where it would go on.
    pub(super) next_from: Position,
    /// Whether everything was looked at.
    pub(super) is_complete: bool,
}

async fn look(call: &Call, view: &View, asked: &AskedSearch, search: &Search) -> Result<Looked, Problem> {
    let is_by_position = asked.sort == Sort::Position;
    let after = asked.after.map(|cursor| cursor.after);
    let mut best = Best::new(after, asked.limit(), PAGE_BYTES);
    let mut found = 0;
    let mut next_from = match after {
        Some(Key([position, ..])) if is_by_position => Position::new(position.unsigned_abs()).next(),
        _ => Position::FIRST,
    };
    let begin = Instant::now();
    let left = call.deadline.saturating_duration_since(begin);
    // by position a part of the hits is an answer too, and comes early
    let give_up = begin + if is_by_position { left / 2 } else { left * 9 / 10 };
    let narrow = view.narrow();
    while let Some(range) = search.window(next_from, WINDOW) {
        let (max_events, max_bytes) = (PAGE, PAGE_BYTES);
        let (narrow, streams) = (narrow.clone(), view.filter().streams.clone());
        let select = Select { range, narrow, streams, max_events, max_bytes };
        let page = search.select(select).await.map_err(errors::of_read)?;
        for recorded in &page.events {
            let Some((shown, _)) = view.show(recorded) else { continue };
            if let Some(score) = asked.score(&shown) {
                found += 1;
                best.offer(asked.sort.key(recorded, score), recorded, score);
            }
        }
        next_from = page.looked_to.next();
        // the first page counts them all
        let is_enough = is_by_position && best.has_more() && after.is_some();
        let is_late = Instant::now() >= give_up && next_from <= search.end().position;
        if is_late && !is_by_position {
            return Err(too_long(page.looked_to, search.end().position));
        }
        if is_enough || is_late {
            return Ok(Looked { best, found, next_from, is_complete: false });
        }
    }
    Ok(Looked { best, found, next_from, is_complete: true })
}

/// The log could not be looked at in the time that there was.
pub(crate) fn too_long(looked_to: Position, end: Position) -> Problem {
    let detail =
        format_args!("in the time that there was the log could be looked at up to {looked_to} of {end}");
    Problem::new(Code::LimitExceeded, detail)
        .next_step(
            "narrow it down by types, categories, since or until, or search with sort=position, page by page",
        )
        .fact("limit", "time")
        .fact("allowed", looked_to)
        .fact("got", end)
}
