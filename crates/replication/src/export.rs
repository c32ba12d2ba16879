use std::{fmt, sync::Arc};

use polylog_log::{Failure, LogPage, Point, Position, ReadLog, RecordedEvent, SourceName};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    LogQuery, ReadError, ReadOptions, Served,
    caught::caught,
    reader::{Data, Who},
    recent::{continues, recorded},
    shared::Shared,
};

/// Reads a range of the log to its end; while a page is worked on, the next one is read.
pub struct LogReader {
    shared: Arc<Shared>,
    query: LogQuery,
    only: Option<SourceName>,
    served: Served,
    /// The last position of the range.
    to: Position,
    next_from: Position,
    /// The end of the last page.
    previous: Option<Point>,
    ahead: Option<AbortOnDropHandle<Result<LogPage, Failure>>>,
}

impl LogReader {
    pub(crate) async fn new(
        shared: Arc<Shared>,
        query: &LogQuery,
        options: &ReadOptions,
    ) -> Result<Self, ReadError> {
        let wanted = shared.check(options).await?;
        let who = wanted.of_whom(options).named(None);
        let asked = shared.heads.ask();
        let head = caught(shared.reader.head_of(who)).await??;
        shared.heads.publish(&head, asked);
        let served = shared.served(&head, options, wanted)?;
        let next_from = query.from.unwrap_or(Position::FIRST).max(Position::FIRST);
        let to = query.to.map_or(head.tail.position, |to| to.min(head.tail.position));
        let query = query.clone();
        let mut reader = Self {
            shared,
            query,
            only: options.source.clone(),
            served,
            to,
            next_from,
            previous: None,
            ahead: None,
        };
        reader.read_ahead(next_from);
        Ok(reader)
    }

    /// What the reader as a whole is served from.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// The next page, never empty; `None` at the end. Cancel-safe. After a failure it may be called again.
    pub async fn next(&mut self) -> Result<Option<Vec<RecordedEvent>>, ReadError> {
        while self.next_from <= self.to {
            if self.ahead.is_none() {
                self.read_ahead(self.next_from);
            }
            let Some(ahead) = &mut self.ahead else { break };
            let page = ahead.await;
            self.ahead = None;
            let page =
                page.map_err(|error| Failure::Unreachable(format!("the read was ended: {error}")))??;
            let (Some(first), Some(last)) = (page.entries.first(), page.entries.last()) else {
                return Err(self.shared.forked(self.next_from).await?);
            };
            if self.previous.is_some_and(|previous| !continues(first, previous)) {
                return Err(self.shared.forked(self.next_from).await?);
            }
            let (from, to, end) = (self.next_from, self.to, last.point());
            (self.previous, self.next_from) = (Some(end), end.position.min(to).next());
            self.read_ahead(self.next_from);
            let include_system = self.query.include_system;
            let is_shown = |event: &RecordedEvent| {
                let event = &event.event;
                event.position >= from && event.position <= to && (include_system || !event.is_system())
            };
            let events: Vec<_> = page.entries.into_iter().flat_map(recorded).filter(is_shown).collect();
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }

    /// One past the last position that was looked at.
    pub fn next_from(&self) -> Position {
        self.next_from
    }

    fn read_ahead(&mut self, from: Position) {
        if from > self.to {
            return;
        }
        let (reader, only, to) = (self.shared.reader.clone(), self.only.clone(), self.to);
        let (max_events, max_bytes) = (self.query.limit.max(1), self.query.max_bytes.max(1));
        let read = ReadLog { from, to, max_events, max_bytes };
        let page = tokio::spawn(async move {
            caught(reader.read_log(Who::reaching(to).named(only.as_ref()), read, Data::Whole)).await?
        });
        self.ahead = Some(AbortOnDropHandle::new(page));
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").field("next_from", &self.next_from).finish_non_exhaustive()
    }
}
