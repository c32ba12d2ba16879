use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use polylog_api::Problem;
use polylog_log::{Count, Position, Select, Tallies, Tally, TallyRow};
use polylog_replication::{ReadOptions, Search, Served};
use tokio::time::Instant;

use super::{
    Interval,
    counts::{Counts, Groups, Uncountable},
};
use crate::operations::{Call, PAGE_BYTES, View, errors, indexed, search::too_long};

/// Most things to group by.
pub(crate) const MOST_GROUPS: usize = 8;
/// Groups that are shown at most, and without a word.
pub(crate) const TOP: (usize, usize) = (1_000, 10);
/// Positions that one statement counts: as many as it does in about [`SOON`], within these bounds.
const WINDOWS: (u64, u64) = (5_000, 50_000);
const SOON: Duration = Duration::from_millis(250);
/// Events of one page of the source.
const PAGE: usize = 2_000;

/// What is counted, beyond a filter.
#[derive(Debug)]
pub(crate) struct AskedStatistics {
    pub(crate) interval: Option<Interval>,
    pub(crate) zone: TimeZone,
    pub(crate) groups: Vec<GroupBy>,
    pub(crate) top: usize,
}

/// What events of one group have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupBy {
    Type,
    Category,
    Metadata(String),
}

impl FromStr for GroupBy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("metadata.")) {
            ("type", _) => Ok(GroupBy::Type),
            ("category", _) => Ok(GroupBy::Category),
            (_, Some(name)) if !name.is_empty() => Ok(GroupBy::Metadata(name.to_owned())),
            _ => Err("it must be type, category or metadata.<name>"),
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupBy::Type => f.write_str("type"),
            GroupBy::Category => f.write_str("category"),
            GroupBy::Metadata(name) => write!(f, "metadata.{name}"),
        }
    }
}

/// Counts.
pub(crate) struct Statistics {
    pub(crate) total: u64,
    /// By the beginnings of intervals.
    pub(crate) by_interval: Vec<(Timestamp, u64)>,
    pub(crate) groups: Vec<(GroupBy, Groups)>,
    /// Everything up to here was counted.
    pub(crate) searched_to: Position,
    pub(crate) served: Served,
}

/// Counts events.
pub(crate) async fn statistics(
    call: &Call,
    view: &View,
    asked: &AskedStatistics,
    options: &ReadOptions,
) -> Result<Statistics, Problem> {
    let _place = call.server.room().search()?;
    let search = call.hosted.store.search(None, options).await.map_err(errors::of_read)?;
    let slice = asked.interval.map(Interval::slice);
    let mut counted = count_either_way(call, view, asked, &search, slice).await;
    if matches!(counted, Err(Uncountable::Straddles)) {
        // offsets are whole seconds
        counted = count_either_way(call, view, asked, &search, Some(1)).await;
    }
    let (mut counts, served) = counted.map_err(|uncountable| match uncountable {
        Uncountable::TooMany(problem) => problem,
        Uncountable::Straddles => too_long(Position::ZERO, search.end().position),
    })?;
    search.confirm().await.map_err(errors::of_read)?;
    Ok(Statistics {
        total: counts.total(),
        by_interval: counts.by_interval()?,
        groups: counts.groups(asked.top),
        searched_to: search.end().position,
        served,
    })
}

/// Counts by an index if there is one that can say it, else by looking at the log.
async fn count_either_way<'a>(
    call: &Call,
    view: &View,
    asked: &'a AskedStatistics,
    search: &Search,
    slice: Option<u32>,
) -> Result<(Counts<'a>, Served), Uncountable> {
    match by_index(call, view, asked, search, slice).await? {
        Some(counted) => Ok(counted),
        None => Ok((count(call, view, asked, search, slice).await?, search.served().clone())),
    }
}

async fn by_index<'a>(
    call: &Call,
    view: &View,
    asked: &'a AskedStatistics,
    search: &Search,
    slice: Option<u32>,
) -> Result<Option<(Counts<'a>, Served)>, Uncountable> {
    let names = names(&asked.groups);
    // groups are made of what is recorded, as they are where the log is looked at
    let asking = async {
        let sought = indexed::sought(view, search, false).await?;
        let slice = slice.and_then(NonZeroU32::new);
        search.count_by_index(Count { sought, slice, names }).await
    };
    // an index that takes long is as none
    let left = call.deadline.saturating_duration_since(Instant::now()) / 2;
    let Ok(Some((counted, served))) = tokio::time::timeout(left, asking).await else { return Ok(None) };
    let mut counts = Counts::new(&asked.groups, asked.interval.map(|interval| (interval, &asked.zone)));
    for row in counted.rows {
        counts.add(row, slice.unwrap_or(1))?;
    }
    counts.add_values(counted.values)?;
    Ok(Some((counts, served)))
}

fn names(groups: &[GroupBy]) -> Vec<String> {
    let names = groups.iter().filter_map(|by| match by {
        GroupBy::Metadata(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

async fn count<'a>(
    call: &Call,
    view: &View,
    asked: &'a AskedStatistics,
    search: &Search,
    slice: Option<u32>,
) -> Result<Counts<'a>, Uncountable> {
    let failed = |error| Uncountable::TooMany(errors::of_read(error));
    let mut counts = Counts::new(&asked.groups, asked.interval.map(|interval| (interval, &asked.zone)));
    let mut tally = Tally {
        range: Position::FIRST..=Position::FIRST,
        narrow: view.narrow(),
        slice: slice.and_then(NonZeroU32::new),
        names: names(&asked.groups),
    };
    let mut window = WINDOWS.0;
    let mut next_from = Position::FIRST;
    while let Some(range) = search.window(next_from, window) {
        let begin = Instant::now();
        next_from = range.end().next();
        tally.range = range;
        let rows = match view.looks_only_at_kinds() {
            true => {
                let mut rows = search.tally(tally.clone()).await.map_err(failed)?;
                rows.retain(|row| view.may_show(&row.event_type, &row.category));
                rows
            }
            false => selected(view, search, &tally).await.map_err(Uncountable::TooMany)?,
        };
        for row in rows {
            counts.add(row, slice.unwrap_or(1))?;
        }
        if Instant::now() >= call.deadline && next_from <= search.end().position {
            return Err(Uncountable::TooMany(too_long(next_from.previous(), search.end().position)));
        }
        if begin.elapsed() < SOON {
            window = (window * 2).min(WINDOWS.1);
        }
    }
    Ok(counts)
}

/// Counts what only a look at each event tells.
async fn selected(view: &View, search: &Search, tally: &Tally) -> Result<Vec<TallyRow>, Problem> {
    let mut tallies = Tallies::new(tally);
    let (mut from, end) = (*tally.range.start(), *tally.range.end());
    while from <= end {
        let (max_events, max_bytes) = (PAGE, PAGE_BYTES);
        let (narrow, streams) = (tally.narrow.clone(), view.filter().streams.clone());
        let select = Select { range: from..=end, narrow, streams, max_events, max_bytes };
        let page = search.select(select).await.map_err(errors::of_read)?;
        for recorded in &page.events {
            if view.show(recorded).is_some() {
                tallies.count(&recorded.event);
            }
        }
        from = page.looked_to.next();
    }
    Ok(tallies.rows())
}
