//! What a lost tail held is appended again where nothing conflicts.
//!
//! A commit in quarantine is clean if its streams hold what they held before it: then it is appended as it was, with its ids
//! and its fingerprint, so that a caller's retry finds it. One that is in the log already is skipped; any other stays in
//! quarantine, and with it all that followed it in its streams. Nothing is remembered: who begins again finds what was
//! replayed by its ids.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use polylog_log::{
    Commit, Divergence, Entry, Event, Expected, Failure, NewEvent, QuarantinePlace, SourceName, StreamAppend,
    StreamName, Verdict, Version,
};

use super::{Handle, Replica, View, call::read};
use crate::AppendError;

/// Entries that are read at once.
const PAGE: usize = 100;
/// How long a page may take to be read.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a commit may take to be appended.
const APPEND: Duration = Duration::from_secs(5);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// How far a source's quarantine was dealt with.
struct Progress {
    place: QuarantinePlace,
    /// Streams that hold something else than they held in the tail that is being replayed.
    differing: HashSet<StreamName>,
}

/// What became of quarantine's commits since the last time that it was told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    replayed: u64,
    present: u64,
    kept: u64,
}

/// Why a commit could not be dealt with now.
struct Later;

/// Ends once the store drains.
pub(crate) async fn replay(store: String, handle: Handle, replicas: Vec<Replica>) {
    let sources: BTreeMap<_, _> =
        replicas.into_iter().map(|replica| (replica.name.clone(), replica)).collect();
    let mut done: BTreeMap<SourceName, Progress> = BTreeMap::new();
    let mut views = handle.views();
    loop {
        let view = views.borrow_and_update().clone();
        let mut failed = false;
        for (name, cuts) in to_replay(&view) {
            let Some(replica) = sources.get(&name) else { continue };
            let none = || Progress { place: QuarantinePlace::START, differing: HashSet::new() };
            let progress = done.entry(name).or_insert_with(none);
            if progress.place < QuarantinePlace::end_of(cuts) {
                failed |= replay_source(&store, &handle, replica, progress, cuts).await.is_err();
            }
        }
        if !handle.goes_on(&mut views, failed.then_some(PAUSE)).await {
            return;
        }
    }
}

/// The sources that answer, and how often each was truncated, where this process is to replay.
fn to_replay(view: &View) -> Vec<(SourceName, u64)> {
    let Some(place) = view.place.as_ref().filter(|_| view.has_duties && view.primary.is_some()) else {
        return Vec::new();
    };
    if place.head.config.config.divergence != Divergence::ReplayIfClean {
        return Vec::new();
    }
    let answering = view.sources.iter().filter(|source| source.failure.is_none());
    let cuts =
        answering.filter_map(|source| Some((source.seen.name.clone(), source.seen.head.as_ref()?.cuts())));
    cuts.filter(|(_, cuts)| *cuts > 0).collect()
}

/// Goes on to the end of the truncation `cuts`.
async fn replay_source(
    store: &str,
    handle: &Handle,
    replica: &Replica,
    progress: &mut Progress,
    cuts: u64,
) -> Result<(), Later> {
    let mut count = Count::default();
    let done = replay_pages(handle, replica, progress, &mut count).await;
    if done.is_ok() {
        progress.place = progress.place.max(QuarantinePlace::end_of(cuts));
        progress.differing.clear();
    }
    if count != Count::default() {
        let Count { replayed, present, kept } = count;
        tracing::warn!(
            event = "quarantine_replayed",
            store,
            source = %replica.name,
            replayed,
            present,
            kept,
            "commits of a tail that lost were appended again, were in the log already, or stay in quarantine"
        );
    }
    done
}

async fn replay_pages(
    handle: &Handle,
    replica: &Replica,
    progress: &mut Progress,
    count: &mut Count,
) -> Result<(), Later> {
    loop {
        let page = read(PATIENCE, replica.source.quarantine(progress.place, PAGE)).await;
        let page = page.map_err(|_: Failure| Later)?;
        if page.is_empty() {
            return Ok(());
        }
        for removed in page {
            if removed.cut.number != progress.place.cut {
                progress.differing.clear();
            }
            if let Some(commit) = commit_of(&removed.entry) {
                replay_commit(handle, commit, &mut progress.differing, count).await?;
            }
            progress.place = removed.place();
        }
    }
}

async fn replay_commit(
    handle: &Handle,
    commit: Commit,
    differing: &mut HashSet<StreamName>,
    count: &mut Count,
) -> Result<(), Later> {
    let streams: Vec<_> =
        commit.appends.iter().map(|append| (append.stream.clone(), append.expected)).collect();
    let is_clean = streams.iter().all(|(stream, _)| !differing.contains(stream));
    let verdict = match is_clean {
        true => match handle.append(commit, None, Instant::now() + APPEND).await {
            Ok(kept) => Some(kept.verdict),
            Err(error) if may_pass(&error) => return Err(Later),
            Err(_) => None,
        },
        false => None,
    };
    let stands_as_it_stood = match &verdict {
        Some(Verdict::Committed(_)) => {
            count.replayed += 1;
            true
        }
        Some(Verdict::Duplicate(receipt)) => {
            count.present += 1;
            let before = |version: Version| Expected::Version(Version::new(version.get() - 1));
            let places = receipt.streams.iter().map(|one| (one.stream.clone(), before(one.first_version)));
            places.eq(streams.iter().cloned())
        }
        _ => {
            count.kept += 1;
            false
        }
    };
    if !stands_as_it_stood {
        differing.extend(streams.into_iter().map(|(stream, _)| stream));
    }
    Ok(())
}

/// The commit that an entry was; `None` for the log's own, and for one whose data this source does not keep.
fn commit_of(entry: &Entry) -> Option<Commit> {
    let mut appends: Vec<StreamAppend> = Vec::new();
    for event in &entry.events {
        if event.is_system() {
            return None;
        }
        let new = new_event(event)?;
        match appends.last_mut().filter(|append| append.stream == event.stream) {
            Some(append) => append.events.push(new),
            None => appends.push(StreamAppend {
                stream: event.stream.clone(),
                expected: Expected::Version(Version::new(event.version.get() - 1)),
                category: Some(event.category.clone()),
                aggregate_id: Some(event.aggregate_id.clone()),
                events: vec![new],
            }),
        }
    }
    Some(Commit { id: entry.commit_id()?, fingerprint: entry.fingerprint, appends })
}

fn new_event(event: &Event) -> Option<NewEvent> {
    Some(NewEvent {
        id: event.id,
        event_type: event.event_type.clone(),
        data: event.data.clone()?,
        data_digest: event.data_digest,
        content_type: event.content_type.clone(),
        metadata: event.metadata.clone(),
        correlation_id: event.correlation_id.clone(),
        causation_id: event.causation_id.clone(),
        time: Some(event.time),
    })
}

/// Whether it says nothing about the commit itself.
fn may_pass(error: &AppendError) -> bool {
    match error {
        AppendError::Overloaded { .. }
        | AppendError::OutcomeUnknown
        | AppendError::AcksTimeout { .. }
        | AppendError::Source(_)
        | AppendError::NoPrimary
        | AppendError::NotSupported(_)
        | AppendError::RouteUnavailable(_)
        | AppendError::TooOld(_)
        | AppendError::Draining => true,
        AppendError::Invalid(_)
        | AppendError::Limit(_)
        | AppendError::VersionConflict { .. }
        | AppendError::IdConflict { .. }
        | AppendError::OtherAttributes { .. }
        | AppendError::AcksNotSupported { .. } => false,
    }
}
