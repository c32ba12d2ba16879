use polylog_api::Problem;
use polylog_log::{Category, Position, RecordedEvent, StreamHead, StreamName, Version};
use polylog_replication::{LogQuery, ReadOptions, Served, Store, StreamQuery};

use super::errors;

/// Bytes of one page from the store.
pub(crate) const PAGE_BYTES: usize = 1 << 20;

/// What is read, and from where on.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) target: Target,
    /// A position, or a version in a stream.
    pub(crate) from: Option<u64>,
    pub(crate) backward: bool,
    pub(crate) include_system: bool,
    pub(crate) options: ReadOptions,
}

/// What is read.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// The log.
    Log,
    /// One category of the log.
    Category(Category),
    /// One stream.
    Stream(StreamName),
}

/// A page of either.
pub(crate) struct Page {
    pub(crate) events: Vec<RecordedEvent>,
    /// Where the next page begins.
    pub(crate) next_from: u64,
    pub(crate) at_end: bool,
    pub(crate) served: Served,
    /// Of a stream that exists.
    pub(crate) stream: Option<StreamHead>,
}

impl Scan {
    /// Reads the next page, of at most `limit` events. The scan itself does not move: see [`Self::go_on`].
    pub(crate) async fn page(&self, store: &Store, limit: usize) -> Result<Page, Problem> {
        // the end of the way back: nothing stands before the first, but freshness and place are still answered
        let is_before_first = self.backward && self.from == Some(0);
        let mut page = match &self.target {
            Target::Stream(stream) => self.stream_page(store, stream, limit).await?,
            _ => self.log_page(store, limit).await?,
        };
        if is_before_first {
            (page.events, page.next_from, page.at_end) = (Vec::new(), 0, true);
        }
        Ok(page)
    }

    /// Moves to where the next page begins.
    pub(crate) fn go_on(&mut self, next_from: u64) {
        self.from = Some(next_from);
    }

    /// Where to go on after an event was the last that was looked at.
    pub(crate) fn after(&self, recorded: &RecordedEvent) -> u64 {
        let at = match self.target {
            Target::Stream(_) => recorded.event.version.get(),
            _ => recorded.event.position.get(),
        };
        if self.backward { at - 1 } else { at + 1 }
    }

    async fn log_page(&self, store: &Store, limit: usize) -> Result<Page, Problem> {
        let query = self.log_query(limit);
        let read = match &self.target {
            Target::Category(category) => store.read_category(category, &query, &self.options).await,
            _ => store.read_log(&query, &self.options).await,
        };
        let read = read.map_err(errors::of_read)?;
        let (next_from, at_end) = (read.next_from.get(), read.at_end);
        Ok(Page { events: read.events, next_from, at_end, served: read.served, stream: None })
    }

    /// The same as a query of the store.
    pub(crate) fn log_query(&self, limit: usize) -> LogQuery {
        LogQuery {
            from: self.from.map(|from| Position::new(from.max(1))),
            to: None,
            backward: self.backward,
            limit,
            max_bytes: PAGE_BYTES,
            include_system: self.include_system,
        }
    }

    async fn stream_page(&self, store: &Store, stream: &StreamName, limit: usize) -> Result<Page, Problem> {
        let query = StreamQuery {
            stream: stream.clone(),
            from: self.from.map(|from| Version::new(from.max(1))),
            backward: self.backward,
            limit,
            max_bytes: PAGE_BYTES,
        };
        let read = store.read_stream(&query, &self.options).await.map_err(errors::of_read)?;
        let (next_from, at_end) = (read.next_from.get(), read.at_end);
        Ok(Page { events: read.events, next_from, at_end, served: read.served, stream: read.stream })
    }
}
