//! Reads: the head first, then events up to its base, then its batch; and the head again.

use std::{ops::RangeInclusive, sync::Arc};

use polylog_log::{
    CategoryPage, Digest, Digests, EventId, Failure, FoundEvent, Head, LogPage, Position, QuarantinePlace,
    Quarantined, ReadCategory, ReadLog, ReadStream, RecordedEvent, Rule, StreamPage,
};

use super::{
    Connection, Lost,
    documents::{Filter, HeadDocument, up_to},
};
use crate::entries::{Page, Row, entries, log_page};

impl Connection {
    /// The rows of a head's log in a range that a filter selects.
    pub(super) async fn rows(
        &self,
        head: &HeadDocument,
        range: RangeInclusive<Position>,
        filter: &Filter<'_>,
    ) -> Result<Vec<Arc<Row>>, Lost> {
        let facts_end = head.facts_end(self.server.options.rules);
        let mut rows = match up_to(&range, facts_end) {
            Some(range) => self.query(range, filter).await?,
            None => Vec::new(),
        };
        let in_batch = |row: &Row| range.contains(&row.event.position) && filter.selects(row);
        rows.extend(head.batch_rows().filter(in_batch).map(Arc::new));
        Ok(rows)
    }

    /// The head to answer with, if what was read under it is still of its history.
    async fn confirmed(&self, head: &HeadDocument) -> Result<Option<Head>, Lost> {
        if !self.server.is_on(Rule::OneSnapshot) {
            return Ok(Some(self.head_document().await?.head.clone()));
        }
        if !self.server.is_on(Rule::ReadersRecheckCuts) {
            return Ok(Some(head.head.clone()));
        }
        let now = self.head_document().await?;
        Ok((now.cuts.len() == head.cuts.len()).then(|| head.head.clone()))
    }

    pub(super) async fn log_page(&self, read: ReadLog) -> Result<LogPage, Failure> {
        loop {
            let document = self.head_document().await?;
            let held = self.rows(&document, read.from..=read.from, &Filter::All).await?.pop();
            let entries = match held.filter(|row| row.event.position <= document.head.tail.position) {
                Some(row) => {
                    let range = row.event.first..=document.head.tail.position;
                    entries(self.rows(&document, range, &Filter::All).await?)
                }
                None => Vec::new(),
            };
            if let Some(head) = self.confirmed(&document).await? {
                return Ok(LogPage { entries: log_page(entries, &read, self.server.options.rules), head });
            }
        }
    }

    pub(super) async fn stream_page(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        let filter = Filter::Stream(&read.stream, self.server.options.rules);
        loop {
            let document = self.head_document().await?;
            let all = Position::FIRST..=document.head.tail.position;
            let mut rows = self.rows(&document, all, &filter).await?;
            let stream = self.stream_head(&document, &read.stream).await?;
            if read.backward {
                rows.reverse();
            }
            let is_wanted = |row: &Arc<Row>| match read.backward {
                true => row.event.version <= read.from,
                false => row.event.version >= read.from,
            };
            rows.retain(is_wanted);
            if let Some(head) = self.confirmed(&document).await? {
                return Ok(StreamPage {
                    events: limited(&rows, read.max_events, read.max_bytes),
                    stream,
                    head,
                });
            }
        }
    }

    pub(super) async fn category_page(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        loop {
            let document = self.head_document().await?;
            let mut rows =
                self.rows(&document, read.range.clone(), &Filter::Category(&read.category)).await?;
            if read.backward {
                rows.reverse();
            }
            if let Some(head) = self.confirmed(&document).await? {
                let events = limited(&rows, read.max_events, read.max_bytes);
                let is_complete = events.len() == rows.len();
                return Ok(CategoryPage { events, is_complete, head });
            }
        }
    }

    pub(super) async fn found(&self, id: EventId) -> Result<FoundEvent, Failure> {
        loop {
            let document = self.head_document().await?;
            let all = Position::FIRST..=document.head.tail.position;
            let event = self.rows(&document, all, &Filter::Ids(&[id])).await?.pop();
            if let Some(head) = self.confirmed(&document).await? {
                return Ok(FoundEvent { event: event.map(|row| row.recorded()), head });
            }
        }
    }

    pub(super) async fn digests_of(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        loop {
            let document = self.head_document().await?;
            let rows = self.rows(&document, range.clone(), &Filter::All).await?;
            if self.confirmed(&document).await?.is_some() {
                let mut combined = Digest::from_bytes([0; 16]);
                rows.iter().for_each(|row| combined.combine(row.event.digest));
                let last = rows.last().filter(|row| row.event.position == *range.end());
                return Ok(Digests { count: rows.len() as u64, combined, chain: last.map(|row| row.chain) });
            }
        }
    }

    /// Of every cut that the head tells of, the entries between what was kept and what was removed: others are left over
    /// from truncations that did not take place.
    pub(super) async fn quarantined(
        &self,
        after: QuarantinePlace,
        limit: usize,
    ) -> Result<Vec<Quarantined>, Failure> {
        let document = self.head_document().await?;
        let saved = self.quarantine_after(after).await?;
        let of_cut = |removed: Quarantined| {
            let cut = document.cuts.iter().find(|cut| cut.number == removed.cut.number)?;
            let (first, last) = (removed.entry.first(), removed.entry.last());
            let is_valid = first > cut.keep.position && last <= cut.removed.position;
            is_valid.then(|| Quarantined { cut: *cut, ..removed })
        };
        Ok(saved.into_iter().filter_map(of_cut).take(limit).collect())
    }
}

fn limited(rows: &[Arc<Row>], max_events: usize, max_bytes: usize) -> Vec<RecordedEvent> {
    let mut page = Page::default();
    let fits = |row: &&Arc<Row>| page.takes((1, row.event.size()), max_events, max_bytes);
    rows.iter().take_while(fits).map(|row| row.recorded()).collect()
}
