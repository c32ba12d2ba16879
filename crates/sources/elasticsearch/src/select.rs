//! Events of a stream or a category: by search as far as it sees everything, and one by one beyond.

use std::ops::RangeInclusive;

use polylog_log::{Category, Position, StreamName, Version};
use serde_json::{Value, json};

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    events::{self, StoredEvent, Verbatim},
    faults::NOWHERE,
    requests::Fields,
};

/// What events are selected by, besides their position.
#[derive(Debug, Clone)]
pub(crate) enum Filter<'a> {
    Stream(&'a StreamName, RangeInclusive<Version>),
    Category(&'a Category),
}

/// Which events, in which order, and how many of them.
#[derive(Debug, Clone)]
pub(crate) struct Selection<'a> {
    pub(crate) filter: Filter<'a>,
    pub(crate) range: RangeInclusive<Position>,
    pub(crate) backward: bool,
    pub(crate) limit: usize,
    pub(crate) fields: Fields,
}

impl Filter<'_> {
    fn selects(&self, stored: &StoredEvent) -> bool {
        match self {
            Filter::Stream(stream, versions) => {
                stored.event.stream == **stream && versions.contains(&stored.event.version)
            }
            Filter::Category(category) => stored.event.category == **category,
        }
    }

    fn query(&self) -> Vec<Value> {
        match self {
            Filter::Stream(stream, versions) => vec![
                json!({ "term": { "stream": stream.as_str() } }),
                json!({ "range": { "version": { "gte": versions.start().get(), "lte": versions.end().get() } } }),
            ],
            Filter::Category(category) => vec![json!({ "term": { "aggregateType": category.as_str() } })],
        }
    }
}

impl Handle {
    /// The selected events of a head's log. They are of its history if no truncation came meanwhile.
    pub(crate) async fn select(
        &self,
        head: &HeadDocument,
        selection: &Selection<'_>,
    ) -> Result<Vec<StoredEvent>, EngineError> {
        let (from, to) = (*selection.range.start(), *selection.range.end());
        let base = head.base.position;
        let searched = self.make_searchable(head).await?;
        let by_search = (from, to.min(searched));
        let one_by_one = (from.max(searched.next()), to.min(base));
        let mut selected = Vec::new();
        if selection.backward {
            selected.extend(in_batch(head, selection));
            self.look_through(head, selection, one_by_one, &mut selected).await?;
            self.search_in(head, selection, by_search, &mut selected).await?;
        } else {
            self.search_in(head, selection, by_search, &mut selected).await?;
            self.look_through(head, selection, one_by_one, &mut selected).await?;
            selected.extend(in_batch(head, selection));
        }
        selected.truncate(selection.limit);
        Ok(selected)
    }

    /// Up to where a search sees every event of a head's log as it is; behind that are few.
    ///
    /// Everything up to the head's base was written out before it was read, so a refresh that starts now shows it. Before
    /// the refresh a search may show what a truncation removed, at a position that is used again.
    async fn make_searchable(&self, head: &HeadDocument) -> Result<Position, EngineError> {
        let (base, cuts) = (head.base.position, head.head.cuts());
        let known = self.searchable(|known| *known);
        let is_near = base.get() <= known.1.get().saturating_add(self.config.read_beyond);
        if known.0 == cuts && is_near {
            return Ok(known.1.min(base));
        }
        self.refresh(NOWHERE, &self.config.indices.events()).await?;
        self.now_searchable(cuts, base);
        Ok(base)
    }

    async fn search_in(
        &self,
        head: &HeadDocument,
        selection: &Selection<'_>,
        (from, to): (Position, Position),
        selected: &mut Vec<StoredEvent>,
    ) -> Result<(), EngineError> {
        let most = selection.limit.saturating_sub(selected.len()).min(10_000);
        if from > to || most == 0 {
            return Ok(());
        }
        let mut filter = selection.filter.query();
        filter.push(json!({ "term": { "store": self.store(head).as_str() } }));
        filter.push(json!({ "range": { "position": { "gte": from.get(), "lte": to.get() } } }));
        let question = json!({
            "size": most,
            "query": { "bool": { "filter": filter } },
            "sort": [{ "position": if selection.backward { "desc" } else { "asc" } }],
            "_source": selection.fields,
        });
        let found: Vec<Verbatim> = self.search(NOWHERE, &self.config.indices.events(), &question).await?;
        selected.extend(found.into_iter().map(Verbatim::read));
        Ok(())
    }

    async fn look_through(
        &self,
        head: &HeadDocument,
        selection: &Selection<'_>,
        (from, to): (Position, Position),
        selected: &mut Vec<StoredEvent>,
    ) -> Result<(), EngineError> {
        if from > to || selected.len() >= selection.limit {
            return Ok(());
        }
        let mut found = self.events_in(head, (from, to), selection.fields).await?;
        if selection.backward {
            found.reverse();
        }
        selected.extend(found.into_iter().filter(|stored| selection.filter.selects(stored)));
        Ok(())
    }
}

/// The selected events of the head's batch.
fn in_batch(head: &HeadDocument, selection: &Selection<'_>) -> Vec<StoredEvent> {
    let range = &selection.range;
    let of_range = head.in_batch().filter(|(_, event)| range.contains(&event.position));
    let stored = of_range.map(|(entry, event)| events::of_batch(entry, event));
    let mut found: Vec<_> = stored.filter(|stored| selection.filter.selects(stored)).collect();
    if selection.backward {
        found.reverse();
    }
    found
}
