//! Pages with the head they belong to: the head first, then events up to its base and its batch, and at last whether a
//! truncation came meanwhile.

use polylog_log::{Failure, Position, Version};
use polylog_source_servers::page::{
    CategoryEvents, EventById, LogEntries, Page, Read, Reading, StreamEvents,
};

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    events::{self, StoredEvent, WITHOUT_PAYLOAD, WITHOUT_QUERYABLE},
    faults::EVENTS_READ,
    mutants::{Mutant, is_on},
    requests::{Ask, Fields},
    select::{Filter, Selection},
    write_out::Place,
};

/// How many times what is read in one part is read again because a truncation came meanwhile.
pub(crate) const TRIES: usize = 10;

/// A page that is read part by part.
pub(crate) trait Parts: Page + Sync {
    /// At most `limit` events, in order; fewer = there are no more.
    fn part(
        &self,
        handle: &Handle,
        head: &HeadDocument,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, EngineError>> + Send;
}

/// Reads a page, again from its beginning if a truncation comes between its parts; with the document that its head is of.
pub(crate) async fn read<P: Parts>(
    handle: &Handle,
    new: impl Fn() -> P,
) -> Result<(Read<P>, HeadDocument), EngineError> {
    let mut reading = Reading::new(new);
    let mut first: Option<HeadDocument> = None;
    loop {
        let (page, limit) = reading.next_part();
        // without a truncation, what its first head says of the log is true as long as a page is read
        let head = match first.take() {
            Some(head) => head,
            None => handle.sure_head().await?.document,
        };
        let part = page.part(handle, &head, limit).await;
        if !is_unchanged(handle, &head).await? {
            // the next head has another number of truncations: the page begins again, or gives up
            let now = handle.sure_head().await?.document;
            if !reading.begin(head.head, None)? || !reading.begin(now.head.clone(), None)? {
                first = Some(now);
            }
            continue;
        }
        // only now is what was read, or missing, of the log
        let part = part?;
        if !reading.begin(head.head.clone(), None)? {
            continue;
        }
        for stored in part {
            if !reading.take(stored)? {
                break;
            }
        }
        reading = match reading.finish() {
            Ok(read) => return Ok((read, head)),
            Err(reading) => reading,
        };
        first = Some(head);
    }
}

/// Whether what was read under a head is still of its history.
pub(crate) async fn is_unchanged(handle: &Handle, head: &HeadDocument) -> Result<bool, EngineError> {
    Ok(is_on(Mutant::NoCutsRead) || handle.cuts().await? == head.head.cuts())
}

/// What is read changes time and again.
pub(crate) fn truncated() -> EngineError {
    Failure::Unreachable("the log was truncated again and again while it was read".into()).into()
}

/// Events of the log, all of a range that ends at the tail.
async fn consecutive(
    handle: &Handle,
    head: &HeadDocument,
    from: Position,
    limit: usize,
    fields: Fields,
) -> Result<Vec<StoredEvent>, EngineError> {
    let last = from.plus(limit as u64).previous();
    let written_out = (from, last.min(head.base.position));
    let mut events = match written_out.0 <= written_out.1 {
        true => handle.events_in(head, written_out, fields).await?,
        false => Vec::new(),
    };
    let in_batch = head.in_batch().filter(|(_, event)| event.position >= from);
    events.extend(in_batch.take(limit - events.len()).map(|(entry, event)| events::of_batch(entry, event)));
    Ok(events)
}

impl Parts for LogEntries {
    async fn part(
        &self,
        handle: &Handle,
        head: &HeadDocument,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, EngineError> {
        let mut from = self.next();
        if self.is_at_the_beginning() && from > Position::FIRST && from <= head.head.tail.position {
            // the first entry is the one that holds the position
            let held = consecutive(handle, head, from, 1, WITHOUT_PAYLOAD).await?;
            from = held.first().map_or(from, |held| held.event.first);
        }
        consecutive(handle, head, from, limit, WITHOUT_QUERYABLE).await
    }
}

impl Parts for StreamEvents {
    async fn part(
        &self,
        handle: &Handle,
        head: &HeadDocument,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, EngineError> {
        let versions = match self.backward {
            true => Version::FIRST..=self.next,
            false => self.next..=Version::new(u64::MAX),
        };
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let filter = Filter::Stream(&self.stream, versions);
        let range = Position::FIRST..=head.head.tail.position;
        let (backward, fields) = (self.backward, WITHOUT_QUERYABLE);
        handle.select(head, &Selection { filter, range, backward, limit, fields }).await
    }
}

impl Parts for CategoryEvents {
    async fn part(
        &self,
        handle: &Handle,
        head: &HeadDocument,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, EngineError> {
        let filter = Filter::Category(&self.category);
        let first = (*self.range.start()).max(Position::FIRST);
        let range = first..=(*self.range.end()).min(head.head.tail.position);
        let (backward, fields) = (self.backward, WITHOUT_QUERYABLE);
        handle.select(head, &Selection { filter, range, backward, limit, fields }).await
    }
}

impl Parts for EventById {
    async fn part(
        &self,
        handle: &Handle,
        head: &HeadDocument,
        _: usize,
    ) -> Result<Vec<StoredEvent>, EngineError> {
        if let Some((entry, event)) = head.in_batch().find(|(_, event)| event.id == self.id) {
            return Ok(vec![events::of_batch(entry, event)]);
        }
        let id = handle.store(head).event_id(self.id);
        let ask = Ask::new(&handle.config.indices.lookup(), id, Fields::Includes(&["position"]));
        let place: Option<Place> = handle.get_many(EVENTS_READ, &[ask]).await?.pop().flatten();
        let Some(position) = place.map(|place| place.position).filter(|at| *at <= head.base.position) else {
            return Ok(Vec::new());
        };
        let found = handle.events_at(head, &[position], WITHOUT_QUERYABLE).await?;
        Ok(found.into_iter().flatten().filter(|stored| stored.event.id == self.id).collect())
    }
}
