//! What an operation has to know of the log before it is decided: by the ids of documents up to the head's base, and from
//! its batch on top of them. A lookup only says where to look.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use polylog_log::{
    CONFIG, Chain, CommitReceipt, ConfigPoint, Entry, EventId, Facts, Head, Point, Position, RecordedCommit,
    StreamHead, StreamName, Timestamp, Version, Wanted,
};
use polylog_source_servers::memory::Memory;

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    events::{self, EntryBuilder, StoredEvent, Verbatim, WITHOUT_PAYLOAD, WITHOUT_QUERYABLE},
    faults::EVENTS_READ,
    mutants::{Mutant, is_on},
    requests::{Ask, Fields},
    schema::Store,
    select::{Filter, Selection},
    write_out::{Place, hole},
};

const PLACE: Fields = Fields::Includes(&["position"]);

impl Handle {
    pub(crate) fn store(&self, head: &HeadDocument) -> Store {
        Store::of(&self.config.indices, &head.head.identity)
    }

    /// Looks up what deciding needs; what `memory` knows of streams is of this head's tail.
    pub(crate) async fn facts(
        &self,
        head: &HeadDocument,
        wanted: &Wanted,
        memory: &mut Memory,
    ) -> Result<Facts, EngineError> {
        memory.remember(&head.head.tail, head.head.clone(), &[]);
        let mut facts = Facts::default();
        let mut streams = memory.recall(wanted, &mut facts);
        self.batch_facts(head, wanted, &mut streams, &mut facts);
        let store = self.store(head);
        let lookup = self.config.indices.lookup();
        let ask = |id| Ask::new(&lookup, id, PLACE);
        let ids: Vec<EventId> =
            wanted.events.iter().copied().filter(|id| !facts.events.contains_key(id)).collect();
        let commits: Vec<_> =
            wanted.commits.iter().copied().filter(|id| !facts.commits.contains_key(id)).collect();
        let mut asked: Vec<Ask> = streams.iter().map(|stream| ask(store.stream(stream))).collect();
        asked.extend(ids.iter().map(|id| ask(store.event_id(*id))));
        asked.extend(commits.iter().map(|id| ask(store.commit(*id))));
        let places: Vec<Option<Place>> = self.get_many(EVENTS_READ, &asked).await?;
        let base = head.base.position;
        let at = |index: usize| places[index].map(|place| place.position);
        let is_fact = |position: &Position| *position <= base || is_on(Mutant::LookupBelieved);
        let positions: BTreeSet<Position> = places.iter().flatten().map(|place| place.position).collect();
        let positions: Vec<Position> = positions.into_iter().filter(is_fact).collect();
        let found = self.events_at(head, &positions, WITHOUT_PAYLOAD).await?;
        let found: BTreeMap<Position, StoredEvent> =
            found.into_iter().flatten().map(|stored| (stored.event.position, stored)).collect();
        let event_at = |index: usize| at(index).and_then(|position| found.get(&position));
        for (index, stream) in streams.iter().enumerate() {
            let confirmed = event_at(index).filter(|stored| stored.event.stream == *stream);
            let end = match (at(index), confirmed) {
                (None, _) => None,
                (Some(_), Some(stored)) => Some(stream_head(stored)),
                // what it told of is not in the log, or not yet: an earlier event may be
                (Some(_), None) => self.last_of(head, stream, base).await?.as_ref().map(stream_head),
            };
            let Some(end) = end else { continue };
            memory.remember_stream(stream.clone(), end.clone());
            facts.streams.insert(stream.clone(), end);
        }
        for (index, id) in (streams.len()..).zip(&ids) {
            if let Some(stored) = event_at(index).filter(|stored| stored.event.id == *id) {
                facts.events.insert(*id, (stored.event.stream.clone(), stored.event.position));
            }
        }
        for (index, id) in (streams.len() + ids.len()..).zip(&commits) {
            let Some(first) = event_at(index).filter(|stored| stored.event.commit_id == *id) else {
                continue;
            };
            let (from, to) = (first.event.first, first.event.last);
            let entry = self.entry(head, from, to).await?;
            record(&mut facts, &entry);
        }
        Ok(facts)
    }

    /// What the head's batch tells.
    fn batch_facts(
        &self,
        head: &HeadDocument,
        wanted: &Wanted,
        streams: &mut Vec<StreamName>,
        facts: &mut Facts,
    ) {
        let ids: HashSet<_> = wanted.events.iter().collect();
        let commits: HashSet<_> = wanted.commits.iter().collect();
        let mut ends: HashMap<&StreamName, StreamHead> = HashMap::new();
        for (entry, event) in head.in_batch() {
            ends.insert(&event.stream, stream_head(&events::of_batch(entry, event)));
            if ids.contains(&event.id) {
                facts.events.insert(event.id, (event.stream.clone(), event.position));
            }
        }
        for entry in
            head.batch.iter().filter(|entry| entry.commit_id().is_some_and(|id| commits.contains(&id)))
        {
            record(facts, entry);
        }
        streams.retain(|stream| match ends.remove(stream) {
            Some(end) => {
                facts.streams.insert(stream.clone(), end);
                false
            }
            None => true,
        });
    }

    /// The end of a stream.
    pub(crate) async fn stream_head(
        &self,
        head: &HeadDocument,
        stream: &StreamName,
    ) -> Result<Option<StreamHead>, EngineError> {
        let wanted = Wanted { streams: vec![stream.clone()], ..Wanted::default() };
        let mut facts = self.facts(head, &wanted, &mut Memory::default()).await?;
        Ok(facts.streams.remove(stream))
    }

    /// The last event of a stream up to a position, by a search.
    async fn last_of(
        &self,
        head: &HeadDocument,
        stream: &StreamName,
        to: Position,
    ) -> Result<Option<StoredEvent>, EngineError> {
        let filter = Filter::Stream(stream, Version::FIRST..=Version::new(u64::MAX));
        let range = Position::FIRST..=to;
        let selection = Selection { filter, range, backward: true, limit: 1, fields: WITHOUT_QUERYABLE };
        Ok(self.select(head, &selection).await?.pop())
    }

    /// The documents of events at positions up to the head's base, whatever they are.
    pub(crate) async fn events_at(
        &self,
        head: &HeadDocument,
        positions: &[Position],
        fields: Fields,
    ) -> Result<Vec<Option<StoredEvent>>, EngineError> {
        let (store, index) = (self.store(head), self.config.indices.events());
        let ask = |position: &Position| Ask::new(&index, store.event(*position), fields);
        let asked: Vec<Ask> = positions.iter().map(ask).collect();
        let found: Vec<Option<Verbatim>> = self.get_many(EVENTS_READ, &asked).await?;
        Ok(found.into_iter().map(|found| found.map(Verbatim::read)).collect())
    }

    /// The events of a range up to the head's base, all of them.
    pub(crate) async fn events_in(
        &self,
        head: &HeadDocument,
        (from, to): (Position, Position),
        fields: Fields,
    ) -> Result<Vec<StoredEvent>, EngineError> {
        let positions: Vec<Position> = (from.get()..=to.get()).map(Position::new).collect();
        let found = self.events_at(head, &positions, fields).await?;
        let whole = found.into_iter().zip(positions);
        whole.map(|(found, position)| found.ok_or_else(|| hole(position).into())).collect()
    }

    /// The entry of a range, without payloads.
    async fn entry(&self, head: &HeadDocument, from: Position, to: Position) -> Result<Entry, EngineError> {
        let mut builder = EntryBuilder::default();
        let mut whole = None;
        for stored in self.events_in(head, (from, to), WITHOUT_PAYLOAD).await? {
            whole = builder.push(stored)?;
        }
        whole.ok_or_else(|| EngineError::damaged(format!("the entry at position {from} is not whole")))
    }

    /// The chain of the entry that holds a position of a head's log.
    pub(crate) async fn chain_at(
        &self,
        head: &HeadDocument,
        position: Position,
    ) -> Result<Option<Chain>, EngineError> {
        if position > head.head.tail.position {
            return Ok(None);
        }
        if position > head.base.position {
            let entry = head.batch.iter().find(|entry| entry.last() >= position);
            return Ok(entry.map(|entry| entry.chain));
        }
        let stored = self.events_at(head, &[position], WITHOUT_PAYLOAD).await?.pop().flatten();
        Ok(stored.map(|stored| stored.chain))
    }

    /// Where the entry ends that ends at a position, if one does, and when it was recorded.
    pub(crate) async fn entry_end(
        &self,
        head: &HeadDocument,
        at: Position,
    ) -> Result<Option<(Point, Timestamp)>, EngineError> {
        if at.is_zero() {
            return Ok(Some((Point::start(head.head.identity.log), Timestamp::EPOCH)));
        }
        if at > head.base.position {
            let entry = head.batch.iter().find(|entry| entry.last() == at);
            return Ok(entry.map(|entry| (entry.point(), entry.recorded_at())));
        }
        let stored = self.events_at(head, &[at], WITHOUT_PAYLOAD).await?.pop().flatten();
        Ok(stored.filter(|stored| stored.event.last == at).map(|stored| {
            let StoredEvent { event, term, chain, .. } = stored;
            (Point { position: at, term, chain }, event.recorded_at)
        }))
    }

    /// The head, if the log holds what the head says it has.
    pub(crate) async fn check(&self) -> Result<Head, EngineError> {
        let document = self.head_document().await?.document;
        let base = document.base;
        let end = self.entry_end(&document, base.position).await?;
        if end.is_none_or(|(point, _)| point.chain != base.chain)
            && self.cuts().await? == document.head.cuts()
        {
            let why =
                format!("the log has no entry that ends at position {}, as its head says", base.position);
            return Err(EngineError::damaged(why));
        }
        Ok(document.head)
    }

    /// The configuration in force at a position.
    pub(crate) async fn config_at(
        &self,
        head: &HeadDocument,
        at: Position,
    ) -> Result<ConfigPoint, EngineError> {
        if head.head.config.position <= at {
            return Ok(head.head.config.clone());
        }
        let in_batch = head.batch.iter().filter(|entry| entry.last() <= at).rev();
        if let Some(config) = in_batch.filter_map(ConfigPoint::of).next() {
            return Ok(config);
        }
        let stream = StreamName::recorded(CONFIG);
        let found = self.last_of(head, &stream, at.min(head.base.position)).await?;
        let Some(StoredEvent { event, term, chain, fingerprint }) = found else {
            return Ok(head.implicit.clone());
        };
        let position = event.position;
        let missing = || EngineError::damaged(format!("no configuration at position {position}"));
        let entry = Entry { term, fingerprint: fingerprint.ok_or_else(missing)?, events: vec![event], chain };
        ConfigPoint::of(&entry).ok_or_else(missing)
    }
}

fn stream_head(stored: &StoredEvent) -> StreamHead {
    let event = &stored.event;
    let (category, aggregate_id) = (event.category.clone(), event.aggregate_id.clone());
    StreamHead { version: event.version, category, aggregate_id }
}

fn record(facts: &mut Facts, entry: &Entry) {
    let (receipt, first) = (CommitReceipt::of(entry), &entry.events[0]);
    let recorded = RecordedCommit { receipt, fingerprint: entry.fingerprint, first_event: first.id };
    facts.commits.insert(first.commit_id, recorded);
}
