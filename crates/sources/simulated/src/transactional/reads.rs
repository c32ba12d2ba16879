use std::ops::RangeInclusive;

use polylog_log::{
    CategoryPage, Digest, Digests, EventId, Failure, FoundEvent, Head, LogPage, Position, QuarantinePlace,
    Quarantined, ReadCategory, ReadLog, ReadStream, RecordedEvent, Rule, StreamPage,
};

use super::{Connection, tables::Tables};
use crate::entries::{Page, Row, log_page};

impl Connection {
    /// Rows and head in one moment, or the head first when that rule is off.
    async fn page<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<(T, Head), Failure> {
        self.server.schedule.step().await;
        if self.server.is_on(Rule::OneSnapshot) {
            return self.read(|tables| (read(tables), tables.head.clone()));
        }
        let head = self.read(|tables| tables.head.clone())?;
        self.server.schedule.step().await;
        Ok((self.read(read)?, head))
    }

    pub(super) async fn log_page(&self, read: ReadLog) -> Result<LogPage, Failure> {
        let rules = self.server.options.rules;
        let page = |tables: &Tables| log_page(tables.entries_from(read.from), &read, rules);
        let (entries, head) = self.page(page).await?;
        Ok(LogPage { entries, head })
    }

    pub(super) async fn stream_page(&self, read: ReadStream) -> Result<StreamPage, Failure> {
        let page = |tables: &Tables| {
            let rows = tables.stream_rows(&read.stream, read.from, read.backward);
            let events = limited(rows.iter().map(AsRef::as_ref), read.max_events, read.max_bytes);
            (events, tables.stream(&read.stream))
        };
        let ((events, stream), head) = self.page(page).await?;
        Ok(StreamPage { events, stream, head })
    }

    pub(super) async fn category_page(&self, read: ReadCategory) -> Result<CategoryPage, Failure> {
        let page = |tables: &Tables| {
            let mut rows = tables.rows(read.range.clone());
            rows.retain(|row| row.event.category == read.category);
            if read.backward {
                rows.reverse();
            }
            let events = limited(rows.iter().map(AsRef::as_ref), read.max_events, read.max_bytes);
            let is_complete = events.len() == rows.len();
            (events, is_complete)
        };
        let ((events, is_complete), head) = self.page(page).await?;
        Ok(CategoryPage { events, is_complete, head })
    }

    pub(super) async fn found(&self, id: EventId) -> Result<FoundEvent, Failure> {
        let (event, head) = self.page(|tables| tables.event(id).map(Row::recorded)).await?;
        Ok(FoundEvent { event, head })
    }

    pub(super) async fn digests_of(&self, range: RangeInclusive<Position>) -> Result<Digests, Failure> {
        self.server.schedule.step().await;
        self.read(|tables| {
            let rows = tables.rows(range.clone());
            let mut combined = Digest::from_bytes([0; 16]);
            rows.iter().for_each(|row| combined.combine(row.event.digest));
            let chain = tables.events.get(range.end()).map(|row| row.chain);
            Digests { count: rows.len() as u64, combined, chain }
        })
    }

    pub(super) async fn quarantined(
        &self,
        after: QuarantinePlace,
        limit: usize,
    ) -> Result<Vec<Quarantined>, Failure> {
        self.server.schedule.step().await;
        self.read(|tables| {
            let later = tables.quarantine.iter().filter(|removed| removed.place() > after);
            later.take(limit).cloned().collect()
        })
    }
}

fn limited<'a>(
    rows: impl Iterator<Item = &'a Row>,
    max_events: usize,
    max_bytes: usize,
) -> Vec<RecordedEvent> {
    let mut page = Page::default();
    rows.take_while(|row| page.takes((1, row.event.size()), max_events, max_bytes))
        .map(Row::recorded)
        .collect()
}
