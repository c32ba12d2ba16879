//! How much of what callers appended stands in each source's quarantine, told by the process that has the duties.
//!
//! Nothing is taken out of quarantine, so that only what a truncation adds is read.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use polylog_log::{Failure, QuarantinePlace, Quarantined, SourceName};

use super::{Handle, Replica, View, call::read};

/// Entries that are read at once.
const PAGE: usize = 20;
/// How long a page may take to be read.
const PATIENCE: Duration = Duration::from_secs(20);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Events in quarantine by source, where they were counted to the end.
#[derive(Debug, Default)]
pub(crate) struct SetAside(Mutex<BTreeMap<SourceName, u64>>);

impl SetAside {
    /// `None` = another process counts, or this one has not yet.
    pub(crate) fn of(&self, source: &SourceName) -> Option<u64> {
        self.0.lock().get(source).copied()
    }
}

/// How far a source's quarantine was counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    place: QuarantinePlace,
    events: u64,
}

/// Ends once the store drains.
pub(crate) async fn count_quarantined(handle: Handle, replicas: Vec<Replica>, told: Arc<SetAside>) {
    let mut known: BTreeMap<SourceName, Counted> = BTreeMap::new();
    let mut views = handle.views();
    loop {
        let view = views.borrow_and_update().clone();
        let mut failed = false;
        if !view.has_duties && !known.is_empty() {
            known.clear();
            told.0.lock().clear();
        }
        for (name, cuts) in cuts_of(&view) {
            let end = QuarantinePlace::end_of(cuts);
            let begin = Counted { place: QuarantinePlace::START, events: 0 };
            let counted = known.get(&name).copied();
            if counted.is_some_and(|counted| counted.place >= end) {
                continue;
            }
            let Some(replica) = replicas.iter().find(|replica| replica.name == name) else { continue };
            match count_on(replica, counted.unwrap_or(begin)).await {
                Ok(counted) => {
                    told.0.lock().insert(name.clone(), counted.events);
                    known.insert(name, Counted { place: counted.place.max(end), ..counted });
                }
                Err(_) => failed = true,
            }
        }
        if !handle.goes_on(&mut views, failed.then_some(PAUSE)).await {
            return;
        }
    }
}

/// The sources that answer, and how often each was truncated, where this process has the duties.
fn cuts_of(view: &View) -> Vec<(SourceName, u64)> {
    let answering = view.sources.iter().filter(|source| view.has_duties && source.failure.is_none());
    answering
        .filter_map(|source| Some((source.seen.name.clone(), source.seen.head.as_ref()?.cuts())))
        .collect()
}

async fn count_on(replica: &Replica, mut counted: Counted) -> Result<Counted, Failure> {
    loop {
        let page = read(PATIENCE, replica.source.quarantine(counted.place, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(counted) };
        counted.place = last.place();
        let of_callers =
            |removed: &Quarantined| removed.entry.events.iter().filter(|event| !event.is_system()).count();
        counted.events += page.iter().map(of_callers).sum::<usize>() as u64;
    }
}
