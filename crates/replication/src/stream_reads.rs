use polylog_log::{EventId, Position, ReadLog, ReadStream, StreamName, Version};

use crate::{
    EventRead, ReadError, ReadOptions, StreamHeadRead, StreamQuery, StreamRead, caught::caught, reader::Data,
    recent::recorded, shared::Shared,
};

impl Shared {
    pub(crate) async fn read_stream(
        &self,
        query: &StreamQuery,
        options: &ReadOptions,
    ) -> Result<StreamRead, ReadError> {
        let wanted = self.check(options).await?;
        let from = match query.backward {
            false => query.from.unwrap_or(Version::FIRST).max(Version::FIRST),
            true => query.from.unwrap_or(Version::new(u64::MAX)),
        };
        let read = ReadStream {
            stream: query.stream.clone(),
            from,
            backward: query.backward,
            max_events: query.limit.max(1),
            max_bytes: query.max_bytes.max(1),
        };
        let asked = self.heads.ask();
        #[cfg(feature = "mutants")]
        let kept = mutants::kept(&read);
        let page = caught(self.reader.read_stream(wanted.of_whom(options), read)).await??;
        #[cfg(feature = "mutants")]
        let page = mutants::keep(kept, page);
        self.heads.publish(&page.head, asked);
        let served = self.served(&page.head, options, wanted)?;
        let end = page.stream.as_ref().map_or(Version::ZERO, |stream| stream.version);
        let last_read = page.events.last().map(|event| event.event.version);
        let next_from = match (query.backward, last_read) {
            (false, Some(version)) => version.next(),
            (false, None) => from,
            (true, Some(version)) => version.previous(),
            (true, None) => Version::ZERO,
        };
        let at_end = if query.backward { next_from.is_zero() } else { next_from > end };
        Ok(StreamRead { events: page.events, stream: page.stream, next_from, at_end, served })
    }

    pub(crate) async fn stream_head(
        &self,
        stream: &StreamName,
        options: &ReadOptions,
    ) -> Result<StreamHeadRead, ReadError> {
        let stream = stream.clone();
        let query = StreamQuery { stream, from: None, backward: true, limit: 1, max_bytes: usize::MAX };
        let read = self.read_stream(&query, options).await?;
        Ok(StreamHeadRead { stream: read.stream, last: read.events.into_iter().next(), served: read.served })
    }

    pub(crate) async fn find(&self, id: EventId, options: &ReadOptions) -> Result<EventRead, ReadError> {
        let wanted = self.check(options).await?;
        let asked = self.heads.ask();
        let found = caught(self.reader.find(wanted.of_whom(options), id)).await??;
        self.heads.publish(&found.head, asked);
        let served = self.served(&found.head, options, wanted)?;
        Ok(EventRead { event: found.event, served })
    }

    pub(crate) async fn event_at(
        &self,
        position: Position,
        options: &ReadOptions,
    ) -> Result<EventRead, ReadError> {
        let wanted = self.check(options).await?;
        let from = position.max(Position::FIRST);
        let read = ReadLog { from, to: from, max_events: 1, max_bytes: 1 };
        let asked = self.heads.ask();
        // who does not come so far does not know whether there is one
        let who = wanted.of_whom(options).and_reaching(from);
        let page = caught(self.reader.read_log(who, read, Data::IfThere)).await??;
        self.heads.publish(&page.head, asked);
        let served = self.served(&page.head, options, wanted)?;
        let events = page.entries.into_iter().flat_map(recorded);
        let event = events.into_iter().find(|event| event.event.position == position);
        Ok(EventRead { event, served })
    }
}

/// Where a page is given again for a while.
#[cfg(feature = "mutants")]
mod mutants {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex, PoisonError},
        time::{Duration, Instant},
    };

    use polylog_log::{
        StreamPage,
        mutants::{Mutant, active},
    };

    use super::*;

    /// How long a page is kept.
    const KEPT: Duration = Duration::from_millis(30);

    type Pages = HashMap<String, (Instant, StreamPage)>;
    static PAGES: LazyLock<Mutex<Pages>> = LazyLock::new(Mutex::default);

    /// What the read asks for, and the page that answered it before.
    pub(super) fn kept(read: &ReadStream) -> Option<(String, Option<StreamPage>)> {
        let key = (active() == Some(Mutant::StaleRead)).then(|| format!("{read:?}"))?;
        let pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.get(&key).filter(|(since, _)| since.elapsed() < KEPT).map(|(_, page)| page.clone());
        Some((key, page))
    }

    pub(super) fn keep(kept: Option<(String, Option<StreamPage>)>, read: StreamPage) -> StreamPage {
        match kept {
            None => read,
            Some((_, Some(page))) => page,
            Some((key, None)) => {
                let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
                pages.insert(key, (Instant::now(), read.clone()));
                read
            }
        }
    }
}
