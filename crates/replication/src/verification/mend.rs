//! What is done about an entry that is not what it should be.

use std::ops::RangeInclusive;

use polylog_log::{
    Digests, Entry, Failure, LogPage, OperationError, Point, Position, ReadLog, Refusal, Repair,
};

use super::{
    bisect::{Bisect, LEAF},
    ledger::Finding,
    task::{Away, Verifier},
    walk::Walk,
};

/// Positions of the entries that are handed to a source for a repair. What is broken may be wider than the first of them,
/// and its last entry has to be proven by what stands there.
const WINDOWS: [u64; 3] = [LEAF, 512, 4_096];
/// Bytes of a page.
const PAGE_BYTES: usize = 1 << 20;
/// Positions that are tried one by one where neither this source nor another can be read.
const PROBES: u64 = 256;

/// What became of it.
enum Mended {
    /// Rows were written back.
    Repaired,
    /// Everything is as it should be in this source.
    Nothing,
    /// Another event stands there; the walk is beyond it.
    Other,
    /// What others hold is not this source's history.
    Unproven,
    /// No other source holds it whole, or this one may not be written to.
    Alone,
}

impl Verifier {
    /// A walk met something that is not what it should be.
    pub(super) async fn stumbled(
        &mut self,
        index: usize,
        walk: &mut Walk,
        end: Position,
    ) -> Result<(), Away> {
        let first = walk.next();
        let finding = match self.mend(index, walk, end).await? {
            Mended::Repaired | Mended::Other => return Ok(()),
            Mended::Unproven => Finding::Other,
            Mended::Nothing | Mended::Alone => Finding::Damaged,
        };
        self.confirm(index, first)?;
        self.found(index, first, finding);
        self.pass_over(index, walk, end).await
    }

    /// Compares a segment with the primary's, and looks at every row of what differs.
    pub(super) async fn compare(
        &mut self,
        index: usize,
        primary: usize,
        segment: RangeInclusive<Position>,
    ) -> Result<(), Away> {
        let mut bisect = Bisect::of(segment);
        while let Some(range) = bisect.next() {
            let (own, others) =
                (self.digests(index, range.clone()).await?, self.digests(primary, range).await?);
            let Some(leaf) = bisect.judged(own == others) else { continue };
            let Some(before) = self.point_before(index, *leaf.start()).await else { continue };
            let (mut walk, end) = (Walk::from(before), *leaf.end());
            // the other one may be the one that is damaged: its own turn comes
            if matches!(self.mend(index, &mut walk, end).await?, Mended::Unproven) {
                self.confirm(index, walk.next())?;
                self.found(index, walk.next(), Finding::Other);
            }
        }
        Ok(())
    }

    /// Hands what others hold behind a point to a source, which writes back what it lacks.
    async fn mend(&mut self, index: usize, walk: &mut Walk, end: Position) -> Result<Mended, Away> {
        let mut mended = Mended::Nothing;
        for window in WINDOWS {
            let Some(entries) = self.entries_after(index, walk.at, end, window).await else {
                return Ok(Mended::Alone);
            };
            let is_all = entries.last().is_some_and(|last| last.last() >= end);
            match self.repair(index, walk.at, entries.clone()).await {
                Ok(0) => mended = Mended::Nothing,
                Ok(_) => return Ok(Mended::Repaired),
                Err(OperationError::Refused { reason: Refusal::OtherEvent(at), .. }) => {
                    self.found(index, at, Finding::Other);
                    self.mend_around(index, walk, entries, at).await?;
                    return Ok(Mended::Other);
                }
                Err(OperationError::Refused { reason: Refusal::Mismatch, .. }) => mended = Mended::Unproven,
                // read-only, or without the right: what is found is told all the same
                Err(OperationError::Failed(Failure::Refused { .. })) => return Ok(Mended::Alone),
                Err(_) => return Err(Away),
            }
            if is_all {
                break;
            }
        }
        Ok(mended)
    }

    /// Each entry by itself, since one of them holds an event that is left alone.
    async fn mend_around(
        &mut self,
        index: usize,
        walk: &mut Walk,
        entries: Vec<Entry>,
        other: Position,
    ) -> Result<(), Away> {
        for entry in entries {
            let (previous, point) = (walk.at, entry.point());
            match self.repair(index, previous, vec![entry]).await {
                // nothing in a missing entry itself says that it is this log's
                Ok(_) | Err(OperationError::Refused { .. }) => {}
                Err(_) => return Err(Away),
            }
            walk.at = point;
            if point.position >= other {
                break;
            }
        }
        Ok(())
    }

    /// Goes on behind an entry that nobody can write back: from what can be read next, as it stands.
    async fn pass_over(&mut self, index: usize, walk: &mut Walk, end: Position) -> Result<(), Away> {
        let first = walk.next();
        for at in (first.get()..=end.get()).take(PROBES as usize).map(Position::new) {
            let read = ReadLog { from: at, to: at, max_events: 1, max_bytes: PAGE_BYTES };
            match self.read(index, read).await {
                Ok(LogPage { entries, .. }) => {
                    let Some(entry) = entries.first() else { return Err(Away) };
                    walk.at = entry.point();
                    self.reached(index, walk.at.position);
                    return Ok(());
                }
                Err(Failure::Damaged(_)) => self.found(index, at, Finding::Missing),
                Err(_) => return Err(Away),
            }
        }
        // so much is gone that the rest is not looked at; the next pass tries again
        Err(Away)
    }

    /// The number of rows that were written back.
    async fn repair(
        &mut self,
        index: usize,
        previous: Point,
        entries: Vec<Entry>,
    ) -> Result<u64, OperationError> {
        let first = previous.position.next();
        let repaired = self.write_back(index, Repair { previous, entries }).await?;
        let rows = repaired.missing + repaired.damaged;
        if rows > 0 {
            self.was_repaired(index, first, &repaired);
        }
        Ok(rows)
    }

    /// Entries behind a point as another source holds them, the primary first: whole, and each following from the one before.
    async fn entries_after(
        &mut self,
        index: usize,
        after: Point,
        end: Position,
        window: u64,
    ) -> Option<Vec<Entry>> {
        let from = after.position.next();
        let to = end.min(Position::new(after.position.get() + window));
        for other in self.others(index) {
            let read = ReadLog { from, to, max_events: window as usize, max_bytes: 4 * PAGE_BYTES };
            let Ok(page) = self.read(other, read).await else { continue };
            let mut walk = Walk::from(after);
            // what is good of it is good enough
            let _ = walk.take(&page.entries);
            let good = |entry: &Entry| entry.last() <= walk.at.position;
            let entries: Vec<_> = page.entries.into_iter().take_while(good).collect();
            if !entries.is_empty() {
                return Some(entries);
            }
        }
        None
    }

    /// Where the history stands before the entry that holds a position, as another source says. A source proves by its own
    /// chain whether it is its own, too.
    async fn point_before(&mut self, index: usize, at: Position) -> Option<Point> {
        for other in self.others(index) {
            let one = |from| ReadLog { from, to: from, max_events: 1, max_bytes: PAGE_BYTES };
            let Ok(page) = self.read(other, one(at)).await else { continue };
            let Some(first) = page.entries.first().map(Entry::first) else { continue };
            if first == Position::FIRST {
                return Some(Point::start(self.log));
            }
            let Ok(page) = self.read(other, one(Position::new(first.get() - 1))).await else { continue };
            if let Some(entry) = page.entries.last() {
                return Some(entry.point());
            }
        }
        None
    }

    async fn digests(&mut self, index: usize, range: RangeInclusive<Position>) -> Result<Digests, Away> {
        self.digests_of(index, range).await.map_err(|_| Away)
    }
}
