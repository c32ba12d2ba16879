//! What the document store offers: nothing here spans two documents.

use std::{ops::RangeInclusive, sync::Arc};

use polylog_log::{Fault, Lease, LeaseSwap, Position, QuarantinePlace, Quarantined, Rule};

use super::{
    Connection, Lost,
    documents::{Collections, EventDocument, Filter, HeadDocument},
};
use crate::entries::Row;

/// Before and after a request of one kind.
type Points = (&'static str, &'static str);

const HEAD_READ: Points = ("head read: sent", "head read: done");
const HEAD_SWAPPED: Points = ("head swap: sent", "head swap: done");
const EVENT_WRITTEN: Points = ("event write: sent", "event write: done");
const EVENT_READ: Points = ("event read: sent", "event read: done");
const QUARANTINED: Points = ("quarantine write: sent", "quarantine write: done");
const LEASE_SWAPPED: Points = ("lease swap: sent", "lease swap: done");

pub(super) const FAIL_POINTS: &[&str] = &[
    HEAD_READ.0,
    HEAD_READ.1,
    HEAD_SWAPPED.0,
    HEAD_SWAPPED.1,
    EVENT_WRITTEN.0,
    EVENT_WRITTEN.1,
    EVENT_READ.0,
    EVENT_READ.1,
    QUARANTINED.0,
    QUARANTINED.1,
    LEASE_SWAPPED.0,
    LEASE_SWAPPED.1,
];

/// A query returns this many documents of one moment; the next ones are of a later moment.
const DOCUMENTS_AT_ONCE: usize = 3;

impl Connection {
    /// One request that writes one document.
    async fn write<T>(&self, points: Points, write: impl Fn(&mut Collections) -> T) -> Result<T, Lost> {
        let is_durable = self.server.is_on(Rule::Durable);
        let done = self.pass(points.0).await?;
        let answer = {
            let mut state = self.server.state.lock();
            if state.generation != self.generation {
                return Err(Lost);
            }
            if is_durable {
                write(&mut state.disk);
            }
            write(&mut state.memory)
        };
        let also_done = self.pass(points.1).await?;
        if done && also_done { Ok(answer) } else { Err(Lost) }
    }

    /// One request that reads one document, or a few of one moment.
    async fn read<T>(&self, points: Points, read: impl FnOnce(&Collections) -> T) -> Result<T, Lost> {
        let done = self.pass(points.0).await?;
        let answer = {
            let state = self.server.state.lock();
            if state.generation != self.generation {
                return Err(Lost);
            }
            read(&state.memory)
        };
        let also_done = self.pass(points.1).await?;
        if done && also_done { Ok(answer) } else { Err(Lost) }
    }

    /// Goes past a fail point; `false` = the request goes on, but its answer is lost.
    async fn pass(&self, point: &'static str) -> Result<bool, Lost> {
        self.server.schedule.step().await;
        match self.server.fail_points.hit(point) {
            None => {}
            Some(Fault::Error) => return Err(Lost),
            Some(Fault::LostReply) => return Ok(false),
            Some(Fault::Crash) => self.server.crash(),
            Some(Fault::Delay) => self.server.schedule.delay().await,
        }
        Ok(true)
    }

    pub(super) async fn head_document(&self) -> Result<Arc<HeadDocument>, Lost> {
        self.read(HEAD_READ, |collections| collections.head.clone()).await
    }

    /// Replaces the head if it has this revision.
    pub(super) async fn replace_head(&self, revision: u64, next: &Arc<HeadDocument>) -> Result<bool, Lost> {
        let is_blind = !self.server.is_on(Rule::OneStep);
        let swapped = self.write(HEAD_SWAPPED, |collections| {
            let matches = collections.head.head.revision == revision || is_blind;
            if matches {
                collections.head = next.clone();
            }
            matches
        });
        let swapped = swapped.await;
        self.server.tail.send_replace(next.head.tail.position);
        swapped
    }

    /// Inserts an event's document, unless there is one.
    pub(super) async fn insert_event(&self, document: &EventDocument) -> Result<bool, Lost> {
        self.write(EVENT_WRITTEN, |collections| {
            let position = document.row.event.position;
            let is_absent = !collections.events.contains_key(&position);
            if is_absent {
                collections.events.insert(position, document.clone());
            }
            is_absent
        })
        .await
    }

    /// Replaces an event's document, if it is of a lower revision.
    pub(super) async fn replace_event(&self, document: &EventDocument) -> Result<bool, Lost> {
        let ties_win = !self.server.is_on(Rule::FenceByRevision);
        self.write(EVENT_WRITTEN, |collections| {
            let stored = collections.events.get_mut(&document.row.event.position);
            let gives_way = |stored: &&mut EventDocument| {
                stored.revision < document.revision || ties_win && stored.revision == document.revision
            };
            stored.filter(gives_way).map(|stored| *stored = document.clone()).is_some()
        })
        .await
    }

    /// Puts an event's document back, unless one was written out since from a later head.
    pub(super) async fn put_back(&self, document: &EventDocument) -> Result<(), Lost> {
        self.write(EVENT_WRITTEN, |collections| {
            let position = document.row.event.position;
            let stored = collections.events.get(&position);
            if stored.is_none_or(|stored| stored.revision <= document.revision) {
                collections.events.insert(position, document.clone());
            }
        })
        .await
    }

    pub(super) async fn event_document(&self, position: Position) -> Result<Option<EventDocument>, Lost> {
        self.read(EVENT_READ, |collections| collections.events.get(&position).cloned()).await
    }

    /// The last document of a range that a filter selects.
    pub(super) async fn last(
        &self,
        range: RangeInclusive<Position>,
        filter: &Filter<'_>,
    ) -> Result<Option<Arc<Row>>, Lost> {
        self.read(EVENT_READ, |collections| {
            let mut rows = collections.events.range(range).map(|(_, document)| &document.row);
            rows.rfind(|row| filter.selects(row)).cloned()
        })
        .await
    }

    /// The documents of a range that a filter selects: a few of each moment.
    pub(super) async fn query(
        &self,
        range: RangeInclusive<Position>,
        filter: &Filter<'_>,
    ) -> Result<Vec<Arc<Row>>, Lost> {
        let (mut from, to) = range.into_inner();
        let mut found = Vec::new();
        while from <= to {
            let some = self.read(EVENT_READ, |collections| {
                let rows = collections.events.range(from..=to).map(|(_, document)| document.row.clone());
                rows.filter(|row| filter.selects(row)).take(DOCUMENTS_AT_ONCE).collect::<Vec<_>>()
            });
            let some = some.await?;
            let is_end = some.len() < DOCUMENTS_AT_ONCE;
            from = some.last().map_or(from, |row| row.event.position.next());
            found.extend(some);
            if is_end {
                break;
            }
        }
        Ok(found)
    }

    /// Inserts an entry that a truncation is going to remove, unless it is there.
    pub(super) async fn insert_quarantined(&self, removed: &Quarantined) -> Result<(), Lost> {
        self.write(QUARANTINED, |collections| {
            let key = (removed.cut.number, removed.entry.first());
            collections.quarantine.entry(key).or_insert_with(|| removed.clone());
        })
        .await
    }

    pub(super) async fn quarantine_after(&self, place: QuarantinePlace) -> Result<Vec<Quarantined>, Lost> {
        self.read(EVENT_READ, |collections| {
            // the keys are first positions
            let from = (place.cut, place.position.next());
            collections.quarantine.range(from..).map(|(_, removed)| removed.clone()).collect()
        })
        .await
    }

    /// Replaces a lease's document if it is as expected; returns whether, and what it is now.
    pub(super) async fn replace_lease(&self, swap: &LeaseSwap) -> Result<(bool, Option<Lease>), Lost> {
        let is_blind = !self.server.is_on(Rule::LeaseCompares);
        self.write(LEASE_SWAPPED, |collections| {
            let held = collections.leases.get(&swap.name).cloned();
            if held != swap.expect && !is_blind {
                return (false, held);
            }
            match &swap.set {
                Some(lease) => collections.leases.insert(swap.name.clone(), lease.clone()),
                None => collections.leases.remove(&swap.name),
            };
            (true, swap.set.clone())
        })
        .await
    }
}
