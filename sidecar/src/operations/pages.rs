use polylog_api::Problem;
use polylog_log::RecordedEvent;
use polylog_replication::{LogReader, Served};

use super::{Page, Scan, Target, View, errors};

/// Events of one page of the store.
const PAGE: usize = 1_000;

/// Everything from where a scan stands, page after page: a page is fetched only when the one before was taken.
pub(crate) struct Pages {
    source: Source,
    /// Read already, and not yet given.
    first: Option<Vec<RecordedEvent>>,
    served: Served,
    next_from: u64,
    at_end: bool,
    is_stream: bool,
    backward: bool,
}

enum Source {
    /// One page is read ahead.
    Ahead(LogReader),
    Scan(Scan),
}

impl Pages {
    /// Goes on after the scan's first page. With `is_long` the log is read ahead, which a few events do not pay for.
    pub(crate) async fn after(
        view: &View,
        mut scan: Scan,
        first: Page,
        is_long: bool,
    ) -> Result<Self, Problem> {
        let Page { events, next_from, at_end, served, .. } = first;
        scan.go_on(next_from);
        let (is_stream, backward) = (matches!(scan.target, Target::Stream(_)), scan.backward);
        let pages = |source, served| {
            let first = Some(events);
            Self { source, first, served, next_from, at_end, is_stream, backward }
        };
        if is_long && !at_end && matches!(scan.target, Target::Log) && !scan.backward {
            let query = scan.log_query(PAGE);
            let reader = view.hosted().store.read_all(&query, &scan.options).await;
            let reader = reader.map_err(errors::of_read)?;
            let served = reader.served().clone();
            return Ok(pages(Source::Ahead(reader), served));
        }
        Ok(pages(Source::Scan(scan), served))
    }

    /// What all of it is served from.
    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    /// Where the next page begins: one past the last that was looked at.
    pub(crate) fn next_from(&self) -> u64 {
        self.next_from
    }

    /// Where to go on after an event of the page that was given last.
    pub(crate) fn after_event(&self, recorded: &RecordedEvent) -> u64 {
        let at = if self.is_stream { recorded.event.version.get() } else { recorded.event.position.get() };
        if self.backward { at - 1 } else { at + 1 }
    }

    /// Whether there is nothing after the pages given so far.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at_end
    }

    /// The next page, which may be empty; `None` at the end. What the caller may see is looked up anew for each.
    pub(crate) async fn next(&mut self, view: &mut View) -> Result<Option<Vec<RecordedEvent>>, Problem> {
        view.refresh()?;
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        match &mut self.source {
            Source::Ahead(reader) => {
                let page = reader.next().await.map_err(errors::of_read)?;
                self.next_from = reader.next_from().get();
                self.at_end = page.is_none();
                Ok(page)
            }
            Source::Scan(_) if self.at_end => Ok(None),
            Source::Scan(scan) => {
                let page = scan.page(&view.hosted().store, PAGE).await?;
                scan.go_on(page.next_from);
                (self.next_from, self.at_end) = (page.next_from, page.at_end);
                Ok(Some(page.events))
            }
        }
    }
}
