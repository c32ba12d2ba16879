//! The writing out of the head's batch: a document per event, and the documents by which streams, ids and commits are
//! found.

use std::collections::HashMap;

use polylog_log::{Chain, Entry, Event, Failure, Position, StreamName};
use serde::{Deserialize, Serialize};

use crate::{
    connection::Handle,
    document::HeadDocument,
    error::EngineError,
    events::EventDocument,
    faults::{EVENTS_READ, EVENTS_WRITTEN},
    mutants::{Mutant, is_on},
    requests::{Ask, Fields, Put, Written},
    schema::Store,
};

/// Where something stands: believed only when the event there confirms it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) position: Position,
}

impl Handle {
    /// Writes a head's batch out; `false` = others are further than this head.
    ///
    /// The fence is the head's revision, not its term: after a promise the old batch would be written out under the new
    /// term, too.
    pub(crate) async fn write_out(&self, head: &HeadDocument) -> Result<bool, EngineError> {
        let fence = if is_on(Mutant::FenceByTerm) { head.head.term.get() } else { head.head.revision };
        let events: Vec<(&Entry, &Event)> = head.in_batch().collect();
        if events.is_empty() {
            return Ok(true);
        }
        let store = Store::of(&self.config.indices, &head.head.identity);
        let index = self.config.indices.events();
        let lookup = self.config.indices.lookup();
        let put = |entry: &Entry, event: &Event| Put {
            index: &index,
            id: store.event(event.position),
            content: EventDocument::new(store.as_str(), fence, (entry, event), self.config.queryable())
                .json(),
        };
        let mut documents: Vec<Put<'_>> = events.iter().map(|(entry, event)| put(entry, event)).collect();
        let places = places(&store, &events).into_iter();
        documents.extend(places.map(|(id, place)| Put { index: &lookup, id, content: json(&place) }));
        let outcomes = self.put_many(EVENTS_WRITTEN, fence, &documents).await?;
        let (of_events, of_places) = outcomes.split_at(events.len());
        if is_on(Mutant::InsertIfAbsent) {
            return Ok(true);
        }
        for outcome in of_places {
            if let Written::Failed(error) = outcome {
                return Err(error.clone().into());
            }
        }
        let (mut there, mut bare) = (Vec::new(), Vec::new());
        for ((entry, event), outcome) in events.into_iter().zip(of_events) {
            match outcome {
                Written::Done => {}
                Written::Conflict => there.push((event.position, entry.chain)),
                // a value that queries should see does not fit: without it, then
                Written::Failed(error) if error.status == 400 => bare.push((entry, event)),
                Written::Failed(error) => return Err(error.clone().into()),
            }
        }
        there.extend(self.write_bare(&store, fence, &bare).await?);
        self.are_there(&store, &there).await
    }

    /// Writes events without what only queries need; gives those that are there already.
    async fn write_bare(
        &self,
        store: &Store,
        fence: u64,
        events: &[(&Entry, &Event)],
    ) -> Result<Vec<(Position, Chain)>, EngineError> {
        let index = self.config.indices.events();
        let put = |(entry, event): &(&Entry, &Event)| Put {
            index: &index,
            id: store.event(event.position),
            content: EventDocument::bare(store.as_str(), fence, (entry, event), self.config.queryable())
                .json(),
        };
        let documents: Vec<Put<'_>> = events.iter().map(put).collect();
        let outcomes = self.put_many(EVENTS_WRITTEN, fence, &documents).await?;
        let mut there = Vec::new();
        for ((entry, event), outcome) in events.iter().zip(outcomes) {
            match outcome {
                Written::Done => {
                    tracing::debug!(position = event.position.get(), "an event that queries do not see")
                }
                Written::Conflict => there.push((event.position, entry.chain)),
                Written::Failed(error) => return Err(error.into()),
            }
        }
        Ok(there)
    }

    /// Whether the very same events are there, written out by somebody else.
    async fn are_there(&self, store: &Store, events: &[(Position, Chain)]) -> Result<bool, EngineError> {
        #[derive(Deserialize)]
        struct Found {
            chain: Chain,
        }
        let index = self.config.indices.events();
        let ask = |(position, _): &(Position, Chain)| {
            Ask::new(&index, store.event(*position), Fields::Includes(&["chain"]))
        };
        let asked: Vec<Ask> = events.iter().map(ask).collect();
        let found: Vec<Option<Found>> = self.get_many(EVENTS_READ, &asked).await?;
        let is_same = |(found, (_, chain)): (Option<Found>, &(Position, Chain))| {
            found.is_some_and(|found| found.chain == *chain)
        };
        Ok(found.into_iter().zip(events).all(is_same))
    }
}

/// Where the streams, ids and commits of these events stand: of a stream, its last event.
fn places(store: &Store, events: &[(&Entry, &Event)]) -> Vec<(String, Place)> {
    let mut places = Vec::with_capacity(2 * events.len());
    let mut streams: HashMap<&StreamName, Position> = HashMap::new();
    for (_, event) in events {
        let place = Place { position: event.position };
        streams.insert(&event.stream, event.position);
        places.push((store.event_id(event.id), place));
        if event.position == event.first {
            places.push((store.commit(event.commit_id), place));
        }
    }
    places.extend(streams.into_iter().map(|(stream, position)| (store.stream(stream), Place { position })));
    places
}

fn json(place: &Place) -> Vec<u8> {
    serde_json::to_vec(place).expect("plain structs with string keys serialise")
}

/// What is missing below a head's base.
pub(crate) fn hole(position: Position) -> Failure {
    Failure::Damaged(format!("no event at position {position}"))
}
