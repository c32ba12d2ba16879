//! What an operation has to know of the log before it is decided: from the documents up to the head's base, and from its
//! batch on top of them.

use std::{collections::HashSet, future::IntoFuture};

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use polylog_log::{
    AggregateId, CONFIG, Category, CommitReceipt, ConfigPoint, Entry, Event, Facts, Head, Point, Position,
    RecordedCommit, StreamHead, StreamName, Timestamp, Version, Wanted,
};
use polylog_source_servers::memory::Memory;

use crate::{
    connection::Handle,
    error::EngineError,
    events::{self, EntryBuilder, StoredEvent},
    faults::EVENTS_READ,
    fields::{Fields, number, uuid},
    head::HeadDocument,
    schema,
};

/// Streams that are looked up at once.
const AT_ONCE: usize = 8;

impl Handle {
    /// Looks up what deciding needs; what `memory` knows of streams is of this head's tail.
    pub(crate) async fn facts(
        &self,
        head: &HeadDocument,
        wanted: &Wanted,
        memory: &mut Memory,
    ) -> Result<Facts, EngineError> {
        memory.remember(&head.head.tail, head.head.clone(), &[]);
        let mut facts = Facts::default();
        let unknown = memory.recall(wanted, &mut facts);
        for some in unknown.chunks(AT_ONCE) {
            let ends = some.iter().map(|stream| self.stream_head(head, stream));
            let ends = futures::future::try_join_all(ends).await?;
            for (stream, end) in some.iter().zip(ends) {
                let Some(end) = end else { continue };
                memory.remember_stream(stream.clone(), end.clone());
                facts.streams.insert(stream.clone(), end);
            }
        }
        if !wanted.events.is_empty() || !wanted.commits.is_empty() {
            self.look_up_ids(head, wanted, &mut facts).await?;
        }
        Ok(facts)
    }

    async fn look_up_ids(
        &self,
        head: &HeadDocument,
        wanted: &Wanted,
        facts: &mut Facts,
    ) -> Result<(), EngineError> {
        let ids: Vec<Bson> = wanted.events.iter().map(|id| uuid(id.uuid())).collect();
        let commits: Vec<Bson> = wanted.commits.iter().map(|id| uuid(id.uuid())).collect();
        let filter = doc! {
            // with the last one, which shows that this is the collection that the head speaks of
            "$or": [
                { "eventId": { "$in": ids } },
                { "commitId": { "$in": commits } },
                { "_id": schema::event_id(head.base.position) },
            ],
            "position": { "$lte": number(head.base.position.get()) },
        };
        let find = self.connected().await?.events.find(filter);
        let find = find.projection(events::without_payload()).sort(doc! { "position": 1 });
        let found = async { find.into_future().await?.try_collect::<Vec<Document>>().await };
        let mut found: Vec<StoredEvent> =
            self.request(EVENTS_READ, found).await?.iter().map(events::read).collect::<Result<_, _>>()?;
        let base = head.base;
        let is_borne_out =
            |stored: &StoredEvent| stored.event.position == base.position && stored.chain == base.chain;
        if !base.position.is_zero() && !found.iter().any(is_borne_out) {
            let what =
                format!("the log has no entry that ends at position {}, as its head says", base.position);
            return Err(EngineError::Mismatch(what));
        }
        let (ids, commits): (HashSet<_>, HashSet<_>) =
            (wanted.events.iter().collect(), wanted.commits.iter().collect());
        let is_wanted = |event: &Event| ids.contains(&event.id) || commits.contains(&event.commit_id);
        let in_batch = head.in_batch().filter(|(_, event)| is_wanted(event));
        found.extend(in_batch.map(|(entry, event)| events::of_batch(entry, event)));
        let mut builder = EntryBuilder::default();
        for stored in found {
            let event = &stored.event;
            if ids.contains(&event.id) {
                facts.events.insert(event.id, (event.stream.clone(), event.position));
            }
            if !commits.contains(&event.commit_id) {
                continue;
            }
            let Some(entry) = builder.push(stored)? else { continue };
            let first = &entry.events[0];
            let (commit, first_event) = (first.commit_id, first.id);
            let receipt = CommitReceipt::of(&entry);
            facts
                .commits
                .insert(commit, RecordedCommit { receipt, fingerprint: entry.fingerprint, first_event });
        }
        Ok(())
    }

    /// The end of a stream.
    pub(crate) async fn stream_head(
        &self,
        head: &HeadDocument,
        stream: &StreamName,
    ) -> Result<Option<StreamHead>, EngineError> {
        if let Some((_, event)) = head.in_batch().rfind(|(_, event)| event.stream == *stream) {
            let (category, aggregate_id) = (event.category.clone(), event.aggregate_id.clone());
            return Ok(Some(StreamHead { version: event.version, category, aggregate_id }));
        }
        let filter =
            doc! { "stream": stream.as_str(), "position": { "$lte": number(head.base.position.get()) } };
        let find = self.connected().await?.events.find_one(filter).sort(doc! { "version": -1 });
        let find = find.projection(doc! { "version": 1, "aggregateType": 1, "aggregateId": 1 });
        let Some(found) = self.request(EVENTS_READ, find.into_future()).await? else { return Ok(None) };
        let fields = Fields::of("the end of a stream", &found);
        Ok(Some(StreamHead {
            version: Version::new(fields.number("version")?),
            category: Category::recorded(fields.text("aggregateType")?),
            aggregate_id: AggregateId::recorded(fields.text("aggregateId")?),
        }))
    }

    /// The event's document at a position, whatever it is.
    pub(crate) async fn event_at(&self, position: Position) -> Result<Option<StoredEvent>, EngineError> {
        let find = self.connected().await?.events.find_one(doc! { "_id": schema::event_id(position) });
        let find = find.projection(events::without_payload());
        let found = self.request(EVENTS_READ, find.into_future()).await?;
        Ok(found.map(|found| events::read(&found)).transpose()?)
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
            return Ok(entry.map(|entry: &Entry| (entry.point(), entry.recorded_at())));
        }
        let stored = self.event_at(at).await?.filter(|stored| stored.event.last == at);
        Ok(stored.map(|stored| {
            let StoredEvent { event, term, chain, .. } = stored;
            (Point { position: at, term, chain }, event.recorded_at)
        }))
    }

    /// The head, if the documents bear it out: what is written out ends as it says.
    pub(crate) async fn check(&self) -> Result<Head, EngineError> {
        let document = self.head_document().await?;
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
        let in_batch = head.batch.iter().filter(|entry| entry.last() <= at).rev();
        if let Some(config) = in_batch.filter_map(ConfigPoint::of).next() {
            return Ok(config);
        }
        let end = at.min(head.base.position);
        let filter = doc! { "stream": CONFIG, "position": { "$lte": number(end.get()) } };
        let find = self.connected().await?.events.find_one(filter).sort(doc! { "version": -1 });
        let find = find.projection(events::without_queryable());
        let Some(found) = self.request(EVENTS_READ, find.into_future()).await? else {
            return Ok(head.implicit.clone());
        };
        let StoredEvent { event, term, chain, fingerprint } = events::read(&found)?;
        let missing = || EngineError::damaged(format!("no configuration at position {}", event.position));
        let fingerprint = fingerprint.ok_or_else(missing)?;
        let entry = Entry { term, fingerprint, events: vec![event.clone()], chain };
        ConfigPoint::of(&entry).ok_or_else(missing)
    }
}
