//! The writing out of the head's batch, a document per event.

use std::{collections::HashMap, future::IntoFuture};

use futures::TryStreamExt;
use mongodb::{
    bson::{Bson, Document, doc},
    error::{Error, ErrorKind, InsertManyError},
};
use polylog_log::{Chain, Entry, Event, Failure, Position};

use crate::{
    connection::{Connected, Handle, durable_document},
    error::{DUPLICATE, EngineError},
    events,
    faults::{EVENTS_READ, EVENTS_WRITTEN},
    fields::{Fields, binary, number},
    head::HeadDocument,
    mutants::{Mutant, is_on},
    schema,
};

/// Documents that one command replaces: the batch of a head is not larger than a command may be, but their number is
/// bounded, too.
const AT_ONCE: usize = 1_000;

impl Handle {
    /// Writes a head's batch out, as far as nobody did; `false` = others are further than this head.
    pub(crate) async fn write_out(&self, head: &HeadDocument) -> Result<bool, EngineError> {
        if head.batch.is_empty() {
            return Ok(true);
        }
        let mut there = self.written_out(head).await?;
        // a promise or a truncation raised the revision: mostly all is there, and the same
        let is_older = |entry: &Entry, event: &Event| {
            let written = there.get(&event.position);
            written.is_some_and(|(fence, chain)| *fence < head.head.revision && *chain == entry.chain)
        };
        if !is_careless() && head.in_batch().any(|(entry, event)| is_older(entry, event)) {
            self.raise(head).await?;
            there = self.written_out(head).await?;
        }
        let mut missing = Vec::new();
        for (entry, event) in head.in_batch() {
            match there.get(&event.position) {
                Some((fence, chain)) if *fence >= head.head.revision && !is_careless() => {
                    if *chain != entry.chain {
                        return Ok(false);
                    }
                }
                _ => missing.push((entry, event)),
            }
        }
        self.put(head, &missing).await
    }

    /// Lifts the fence of documents that hold the batch's own events already: an equal chain is an equal entry at its
    /// position, so that this is as good as writing it again.
    async fn raise(&self, head: &HeadDocument) -> Result<(), EngineError> {
        let ids = doc! {
            "$gte": schema::event_id(head.base.position.next()),
            "$lte": schema::event_id(head.head.tail.position),
        };
        let chains: Vec<_> = head.batch.iter().map(|entry| binary(entry.chain.as_bytes())).collect();
        let fence = number(head.head.revision);
        let own = doc! { "_id": ids, "w": { "$lt": &fence }, "chain": { "$in": chains } };
        let update = self.connected().await?.events.update_many(own, doc! { "$set": { "w": fence } });
        self.request(EVENTS_WRITTEN, update.into_future()).await.map(drop)
    }

    /// Writes a head's batch out, of which nothing is there yet unless a removed tail left it.
    pub(crate) async fn write_out_new(&self, head: &HeadDocument) -> Result<bool, EngineError> {
        self.put(head, &head.in_batch().collect::<Vec<_>>()).await
    }

    /// The documents at the batch's positions: which head each was written out from, and which entry it is of.
    async fn written_out(&self, head: &HeadDocument) -> Result<HashMap<Position, (u64, Chain)>, EngineError> {
        let (from, to) = (head.base.position.next(), head.head.tail.position);
        let ids = doc! { "$gte": schema::event_id(from), "$lte": schema::event_id(to) };
        let find = self.connected().await?.events.find(doc! { "_id": ids });
        let find = find.projection(doc! { "position": 1, "w": 1, "chain": 1 });
        let found = async { find.into_future().await?.try_collect::<Vec<Document>>().await };
        let read = |document: &Document| {
            let fields = Fields::of("an event", document);
            let written = (fields.number("w")?, chain(document)?);
            Ok::<_, EngineError>((Position::new(fields.number("position")?), written))
        };
        self.request(EVENTS_READ, found).await?.iter().map(read).collect()
    }

    /// Puts events of a head's batch into their places.
    ///
    /// The fence is the head's revision, not its term: after a promise the old batch would be written out under the new
    /// term, too. And a document of the same event, but of an older head, is replaced as well: else somebody slow who is
    /// between the two could still put another event there.
    async fn put(&self, head: &HeadDocument, events: &[(&Entry, &Event)]) -> Result<bool, EngineError> {
        let fence = if is_on(Mutant::FenceByTerm) { head.head.term.get() } else { head.head.revision };
        let documents: Vec<_> =
            events.iter().map(|(entry, event)| events::document(entry, event, fence)).collect();
        if documents.is_empty() {
            return Ok(true);
        }
        let connected = self.connected().await?;
        let inserted = async {
            let insert = connected.events.insert_many(&documents).ordered(false);
            present(insert.into_future().await.map(drop))
        };
        let present = self.request(EVENTS_WRITTEN, inserted).await?;
        if is_on(Mutant::InsertIfAbsent) {
            return Ok(true);
        }
        if present.is_empty() {
            return Ok(true);
        }
        let older: Vec<&Document> = present.iter().filter_map(|index| documents.get(*index)).collect();
        self.replace(connected, &older, fence).await?;
        // others may be further
        let there = self.written_out(head).await?;
        Ok(present.iter().filter_map(|index| events.get(*index)).all(|(entry, event)| {
            let written = there.get(&event.position);
            written.is_some_and(|(written, chain)| *written >= fence && *chain == entry.chain)
        }))
    }

    /// Replaces events' documents that were written out from an older head.
    async fn replace(
        &self,
        connected: &Connected,
        documents: &[&Document],
        fence: u64,
    ) -> Result<(), EngineError> {
        for some in documents.chunks(AT_ONCE) {
            let replace = |document: &&Document| {
                let mut older = doc! { "_id": document.get_str("_id").unwrap_or_default() };
                if is_on(Mutant::FenceByTerm) {
                    older.insert("w", doc! { "$lte": number(fence) });
                } else if !is_on(Mutant::BlindUpsert) {
                    older.insert("w", doc! { "$lt": number(fence) });
                }
                Bson::Document(doc! { "q": older, "u": (*document).clone() })
            };
            let command = doc! {
                "update": self.config.collection(schema::EVENTS),
                "updates": some.iter().map(replace).collect::<Vec<_>>(),
                "ordered": false,
                "writeConcern": durable_document(&self.config),
            };
            let run = connected.database.run_command(command);
            let answer = self.request(EVENTS_WRITTEN, run.into_future()).await?;
            if answer.contains_key("writeErrors") || answer.contains_key("writeConcernError") {
                return Err(Failure::Unreachable(format!("events could not be written out: {answer}")).into());
            }
        }
        Ok(())
    }
}

/// Whether a mutant does without looking.
fn is_careless() -> bool {
    is_on(Mutant::BlindUpsert) || is_on(Mutant::FenceByTerm)
}

fn chain(document: &Document) -> Result<Chain, EngineError> {
    Ok(Chain::from_bytes(Fields::of("an event", document).bytes("chain")?))
}

/// Which of the documents were there before; every other error stays one.
fn present(inserted: Result<(), Error>) -> Result<Vec<usize>, Error> {
    let error = match inserted {
        Ok(()) => return Ok(Vec::new()),
        Err(error) => error,
    };
    match &*error.kind {
        ErrorKind::InsertMany(InsertManyError {
            write_errors: Some(errors),
            write_concern_error: None,
            ..
        }) if errors.iter().all(|error| error.code == DUPLICATE) => {
            Ok(errors.iter().map(|error| error.index).collect())
        }
        _ => Err(error),
    }
}

/// Inserts documents that may be there already, and are then the same.
pub(crate) async fn insert_missing(
    collection: &mongodb::Collection<Document>,
    documents: &[Document],
) -> Result<(), Error> {
    present(collection.insert_many(documents).ordered(false).await.map(drop)).map(drop)
}
