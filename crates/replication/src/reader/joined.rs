//! Puts data into events that another source keeps alone. Whatever source it comes from, its digest says that it is theirs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use polylog_log::{
    DataDigest, Digest, Entry, Event, Failure, Identity, Position, ReadLog, Source, SourceName,
};
use tokio::time::timeout;

use crate::caught::caught;

/// How long a source may take for the data of a few events.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events whose data is fetched before its size is looked at.
const CHUNK: usize = 16;
/// Requests to one source at once.
const AT_ONCE: usize = 8;

/// What is to become of events whose data this source does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// They stay as they are: nobody looks at it.
    AsKept,
    /// It is put into them, where it can be had.
    IfThere,
    /// The same, and a read fails while a source that may have it does not answer.
    Whole,
}

pub(super) type Sources = BTreeMap<SourceName, (Arc<dyn Source>, Identity)>;

fn lacks_data(event: &Event) -> bool {
    event.data.is_none() && !event.is_system()
}

/// The data of entries, at least of the first; those beyond `budget` bytes are cut off, and read the next time.
pub(super) async fn entries(
    sources: &Sources,
    entries: &mut Vec<Entry>,
    budget: usize,
    data: Data,
) -> Result<(), Failure> {
    if data == Data::AsKept {
        return Ok(());
    }
    let at_least = entries.first().map_or(0, |entry| entry.events.len());
    let mut events: Vec<&mut Event> = entries.iter_mut().flat_map(|entry| &mut entry.events).collect();
    let mut whole = join(sources, &mut events, at_least, budget, data).await?;
    let mut kept = 0;
    for entry in entries.iter() {
        let Some(rest) = whole.checked_sub(entry.events.len()) else { break };
        (whole, kept) = (rest, kept + 1);
    }
    entries.truncate(kept);
    Ok(())
}

/// The data of events that go with others, at least of the first; says how many from the first on have it within
/// `budget` bytes.
pub(super) async fn join(
    sources: &Sources,
    events: &mut [&mut Event],
    at_least: usize,
    budget: usize,
    data: Data,
) -> Result<usize, Failure> {
    if data == Data::AsKept || !events.iter().any(|event| lacks_data(event)) {
        return Ok(events.len());
    }
    let (mut done, mut bytes) = (0, 0);
    for chunk in events.chunks_mut(CHUNK) {
        if done >= at_least.max(1) && bytes >= budget {
            return Ok(done);
        }
        let away = fill(sources, chunk).await;
        if let Some(failure) = away.filter(|_| data == Data::Whole) {
            return Err(failure);
        }
        done += chunk.len();
        bytes += chunk.iter().map(|event| event.size()).sum::<usize>();
    }
    Ok(done)
}

/// Says which source could have the data of one of them and does not answer.
async fn fill(sources: &Sources, events: &mut [&mut Event]) -> Option<Failure> {
    let mut away = None;
    let mut keepers: Vec<SourceName> =
        events.iter().filter(|event| lacks_data(event)).filter_map(|event| event.keeper()).collect();
    keepers.sort_unstable();
    keepers.dedup();
    for keeper in keepers {
        // until it is dropped there, others have it as well
        let others = sources.keys().filter(|name| **name != keeper);
        let mut failure = (!sources.contains_key(&keeper)).then(|| {
            Failure::Unreachable(format!("source {keeper}, which keeps the data, is not known here"))
        });
        for name in [&keeper].into_iter().chain(others) {
            let of_keeper = |event: &Event| lacks_data(event) && event.keeper().as_ref() == Some(&keeper);
            let wanted: Vec<(Position, Digest)> = events
                .iter()
                .filter(|event| of_keeper(event))
                .map(|event| (event.position, event.digest))
                .collect();
            if wanted.is_empty() {
                failure = None;
                break;
            }
            let Some((source, identity)) = sources.get(name) else { continue };
            let (found, failed) = fetch(source, identity, &wanted).await;
            for event in events.iter_mut().filter(|event| lacks_data(event)) {
                let data = found.get(&(event.position, event.digest));
                event.data = data.filter(|data| DataDigest::of(data) == event.data_digest).cloned();
            }
            if *name == keeper {
                failure = failed.map(|failure| {
                    Failure::Unreachable(format!("source {keeper}, which keeps the data: {failure}"))
                });
            }
        }
        let still_lacks =
            events.iter().any(|event| lacks_data(event) && event.keeper().as_ref() == Some(&keeper));
        away = away.or(failure.filter(|_| still_lacks));
    }
    away
}

type Found = BTreeMap<(Position, Digest), Bytes>;

/// What a source has of it, and why it could not be asked for some of it.
async fn fetch(
    source: &Arc<dyn Source>,
    identity: &Identity,
    wanted: &[(Position, Digest)],
) -> (Found, Option<Failure>) {
    let mut runs: Vec<(Position, Position)> = Vec::new();
    for (position, _) in wanted {
        match runs.last_mut().filter(|(_, to)| to.next() == *position) {
            Some((_, to)) => *to = *position,
            None => runs.push((*position, *position)),
        }
    }
    let reads = runs.into_iter().map(|(from, to)| {
        let max_events = usize::try_from(to.get() - from.get() + 1).unwrap_or(usize::MAX);
        let read = ReadLog { from, to, max_events, max_bytes: usize::MAX };
        let source = source.clone();
        async move {
            let page = timeout(PATIENCE, caught(source.read_log(read))).await;
            page.unwrap_or(Ok(Err(Failure::Timeout(PATIENCE)))).and_then(|page| page)
        }
    });
    let pages: Vec<_> = stream::iter(reads).buffer_unordered(AT_ONCE).collect().await;
    let (mut found, mut failure) = (Found::new(), None);
    for page in pages {
        match page {
            Ok(page) if page.head.identity == *identity => {
                let events = page.entries.into_iter().flat_map(|entry| entry.events);
                let held = events.filter_map(|event| Some(((event.position, event.digest), event.data?)));
                found.extend(held.filter(|(at, _)| wanted.contains(at)));
            }
            Ok(page) => failure = Some(Failure::WrongStore(format!("log {}", page.head.identity.log))),
            Err(failed) => failure = Some(failed),
        }
    }
    (found, failure)
}
