//! Pages: the head first, then events up to its base, then its batch; and the number of truncations again.

use std::future::IntoFuture;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use polylog_log::Event;
use polylog_source_servers::page::{Page, Read, Reading};

use crate::{
    connection::Handle,
    error::EngineError,
    events::{self, StoredEvent},
    faults::EVENTS_READ,
    fields::number,
    head::HeadDocument,
    mutants::{Mutant, is_on},
};

/// Documents that the server sends at once, and payload after which a part ends: how many were asked for was guessed by
/// what events before were like.
const BATCH: u32 = 100;
const PART_BYTES: usize = 4 << 20;

/// A page that is read with a query.
pub(crate) trait Ask: Page {
    /// What the next part selects.
    fn filter(&self) -> Document;

    /// In which order.
    fn sort(&self) -> Document;

    /// Whether the part goes from the end to the beginning, so that the batch comes first.
    fn is_backward(&self) -> bool {
        false
    }

    /// Whether the part holds an event of the batch.
    fn selects(&self, event: &Event) -> bool;
}

impl Handle {
    /// Reads a page, again from its beginning if a truncation comes between. With the first part's head.
    pub(crate) async fn page<P: Ask>(
        &self,
        new: impl Fn() -> P,
    ) -> Result<(Read<P>, HeadDocument), EngineError> {
        let mut reading = Reading::new(new);
        let mut first: Option<HeadDocument> = None;
        loop {
            let (page, limit) = reading.next_part();
            let document = self.head_to_read().await?;
            let Part { events: part, is_cut } = self.part(page, &document, limit).await?;
            if !is_on(Mutant::NoCutsRead) && self.cuts().await? != document.head.cuts() {
                // what was read may be of two histories: this part again, and what came before it if it is of the old one
                continue;
            }
            if !reading.begin(document.head.clone(), None)? {
                first = None;
                continue;
            }
            let first_head = first.get_or_insert(document).clone();
            for stored in part {
                if !reading.take(stored)? {
                    break;
                }
            }
            if is_cut {
                reading.cut_short();
            }
            reading = match reading.finish() {
                Ok(read) => return Ok((read, first_head)),
                Err(reading) => reading,
            };
        }
    }

    /// At most `limit` events that belong to a head's log.
    async fn part<P: Ask>(&self, page: &P, head: &HeadDocument, limit: usize) -> Result<Part, EngineError> {
        let selected = head.in_batch().filter(|(_, event)| page.selects(event));
        let stored = |(entry, event)| events::of_batch(entry, event);
        if page.is_backward() {
            let mut part = Part { events: selected.rev().take(limit).map(stored).collect(), is_cut: false };
            if part.events.len() < limit {
                let queried = self.query(page, head, limit - part.events.len()).await?;
                part.events.extend(queried.events);
                part.is_cut = queried.is_cut;
            }
            return Ok(part);
        }
        let mut part = self.query(page, head, limit).await?;
        if !part.is_cut {
            part.events.extend(selected.take(limit - part.events.len()).map(stored));
        }
        Ok(part)
    }

    async fn query<P: Ask>(&self, page: &P, head: &HeadDocument, limit: usize) -> Result<Part, EngineError> {
        let up_to_base = doc! { "position": { "$lte": number(head.base.position.get()) } };
        let filter = doc! { "$and": [page.filter(), up_to_base] };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let find = self.connected().await?.events.find(filter).sort(page.sort()).limit(limit);
        let find = find.projection(events::without_queryable()).batch_size(BATCH);
        let found = async {
            let mut cursor = find.into_future().await?;
            let (mut documents, mut bytes, mut is_cut) = (Vec::<Document>::new(), 0, false);
            while let Some(document) = cursor.try_next().await? {
                bytes += size(&document);
                documents.push(document);
                if bytes >= PART_BYTES {
                    is_cut = true;
                    break;
                }
            }
            Ok((documents, is_cut))
        };
        let (found, is_cut) = self.request(EVENTS_READ, found).await?;
        let events = found.iter().map(|document| events::read(document).map_err(EngineError::from));
        Ok(Part { events: events.collect::<Result<_, _>>()?, is_cut })
    }
}

/// Events of one query.
struct Part {
    events: Vec<StoredEvent>,
    /// They are large, and there may be more that were asked for.
    is_cut: bool,
}

/// The payload of an event's document, in bytes.
fn size(document: &Document) -> usize {
    let blob = |field: &str| match document.get(field) {
        Some(Bson::Binary(binary)) => binary.bytes.len(),
        _ => 0,
    };
    blob("rawData") + blob("rawMetadata")
}
