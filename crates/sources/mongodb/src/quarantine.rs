//! Entries that truncations removed: saved before the cut, and valid only once the head tells of it.

use std::future::IntoFuture;

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use polylog_log::{Cut, Position, QuarantinePlace, Quarantined};

use crate::{
    connection::Handle,
    error::EngineError,
    events::{self, EntryBuilder},
    faults::{EVENTS_READ, QUARANTINED},
    fields::{Fields, number},
    head::{HeadDocument, read_cut},
    schema,
    write_out::insert_missing,
};

/// Events that are read and written at once.
const AT_ONCE: u64 = 500;

impl Handle {
    /// Puts aside what a truncation is going to remove. Between two cuts the log only grows, so that a record that is
    /// there already, from a truncation that did not take place, is the same.
    pub(crate) async fn save(&self, head: &HeadDocument, cut: Cut) -> Result<(), EngineError> {
        let connected = self.connected().await?;
        let mut from = cut.keep.position.next();
        let base = head.base.position;
        let mut builder = EntryBuilder::default();
        let mut next = from;
        while from <= base {
            let to = base.min(from.plus(AT_ONCE - 1));
            let ids = doc! { "$gte": schema::event_id(from), "$lte": schema::event_id(to) };
            let find = connected.events.find(doc! { "_id": ids }).sort(doc! { "_id": 1 });
            let find = find.projection(events::without_queryable());
            let found = async { find.into_future().await?.try_collect::<Vec<Document>>().await };
            let mut documents = Vec::new();
            for document in self.request(EVENTS_READ, found).await? {
                // a tail with a hole is not put aside as if it were whole
                if let Some(entry) = builder.push(events::read(&document)?)? {
                    if entry.first() != next {
                        return Err(hole(next));
                    }
                    next = entry.last().next();
                    let record = |event| events::quarantined(cut.number, &entry, event);
                    documents.extend(entry.events.iter().map(record));
                }
            }
            self.put_aside(&documents).await?;
            from = to.next();
        }
        if next <= base {
            return Err(hole(next));
        }
        let removed = head.in_batch().filter(|(_, event)| event.position > cut.keep.position);
        let documents: Vec<_> =
            removed.map(|(entry, event)| events::quarantined(cut.number, entry, event)).collect();
        self.put_aside(&documents).await
    }

    async fn put_aside(&self, documents: &[Document]) -> Result<(), EngineError> {
        if documents.is_empty() {
            return Ok(());
        }
        let connected = self.connected().await?;
        self.request(QUARANTINED, insert_missing(&connected.quarantine, documents)).await
    }
}

/// Something that should be put aside is not there.
fn hole(at: Position) -> EngineError {
    EngineError::Mismatch(format!("the log has no entry that begins at position {at}"))
}

/// See [`polylog_log::Source::quarantine`].
pub(crate) async fn quarantine(
    handle: &Handle,
    after: QuarantinePlace,
    limit: usize,
) -> Result<Vec<Quarantined>, EngineError> {
    let document = handle.head_field("cutLog").await?;
    let mut found = Vec::new();
    for cut in Fields::of("the head", &document).documents("cutLog")? {
        let cut = read_cut(Fields::of("a truncation", cut))?;
        if cut.number >= after.cut && found.len() < limit {
            let behind = if cut.number == after.cut { after.position } else { cut.keep.position };
            of_cut(handle, cut, behind, limit, &mut found).await?;
        }
    }
    Ok(found)
}

async fn of_cut(
    handle: &Handle,
    cut: Cut,
    behind: Position,
    limit: usize,
    found: &mut Vec<Quarantined>,
) -> Result<(), EngineError> {
    let connected = handle.connected().await?;
    let mut builder = EntryBuilder::default();
    let mut from = behind.next();
    while from <= cut.removed.position && found.len() < limit {
        let to = cut.removed.position.min(from.plus(AT_ONCE - 1));
        let ids = doc! {
            "$gte": schema::quarantine_id(cut.number, from),
            "$lte": schema::quarantine_id(cut.number, to),
        };
        let find =
            connected.quarantine.find(doc! { "_id": ids, "cut": number(cut.number) }).sort(doc! { "_id": 1 });
        let removed = async { find.into_future().await?.try_collect::<Vec<Document>>().await };
        for document in handle.request(EVENTS_READ, removed).await? {
            if let Some(entry) = builder.push(events::read(&document)?)?
                && found.len() < limit
            {
                found.push(Quarantined { cut, entry });
            }
        }
        from = to.next();
    }
    Ok(())
}
