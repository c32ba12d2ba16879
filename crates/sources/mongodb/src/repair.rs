use std::future::IntoFuture;

use futures::TryStreamExt;
use mongodb::{
    bson::{Bson, Document, doc},
    error::Error,
};
use polylog_log::{
    Entry, Event, Failure, Held, Identity, OperationError, Position, Repair, Repaired, Repairing, Rules,
};

use crate::{
    error::EngineError,
    events,
    faults::{EVENTS_READ, EVENTS_WRITTEN},
    fields::Fields,
    head::HeadDocument,
    operation::Writer,
    schema,
    write_out::insert_missing,
};

/// See [`polylog_log::Source::repair`].
pub(crate) async fn repair(
    writer: &mut Writer,
    of: &Identity,
    repair: &Repair,
) -> Result<Repaired, OperationError> {
    // what is remembered of streams may have been read while a document was missing
    writer.memory.forget();
    let before = |error: EngineError| OperationError::Failed(error.failure());
    let document = writer.handle.head_document().await.map_err(before)?;
    let stored = stored(writer, &document, repair).await.map_err(before)?;
    let head = &document.head;
    let held = repair.held(held(&document, &stored));
    let rewrite = head
        .admit_repair(of, Repairing { repair, held: &held }, Rules::ALL)
        .map_err(|reason| OperationError::Refused { reason, head: Box::new(head.clone()) })?;
    for (entry, event) in &rewrite.rows {
        let id = schema::event_id(event.position);
        let found = stored.iter().find(|found| found.get_str("_id").is_ok_and(|found| found == id));
        put(writer, &document, found, entry, event)
            .await
            .map_err(|error| OperationError::Unknown(error.failure()))?;
    }
    Ok(rewrite.told(head.clone()))
}

/// The documents of the positions that are written out; the others stand in the head.
async fn stored(writer: &Writer, head: &HeadDocument, repair: &Repair) -> Result<Vec<Document>, EngineError> {
    let Some(range) = repair.range() else { return Ok(Vec::new()) };
    let to = (*range.end()).min(head.base.position);
    let ids = doc! { "$gte": schema::event_id(*range.start()), "$lte": schema::event_id(to) };
    let find = writer.handle.connected().await?.events.find(doc! { "_id": ids });
    let found = async { find.into_future().await?.try_collect::<Vec<Document>>().await };
    writer.handle.request(EVENTS_READ, found).await
}

fn held(head: &HeadDocument, stored: &[Document]) -> Vec<(Position, Held)> {
    let written_out = stored.iter().filter_map(|document| {
        let held = match events::read(document) {
            Ok(stored) => stored.into(),
            Err(_) => Held::Unreadable,
        };
        Some((schema::position_of(document.get_str("_id").ok()?)?, held))
    });
    let in_head = head.in_batch().filter_map(|(entry, event)| {
        let stored = events::read(&events::verbatim(entry, event)).ok()?;
        Some((event.position, stored.into()))
    });
    written_out.chain(in_head).collect()
}

/// Puts an event's document into its place, unless another was put there since: one that was written out from a later
/// head may be of another history.
async fn put(
    writer: &Writer,
    head: &HeadDocument,
    found: Option<&Document>,
    entry: &Entry,
    event: &Event,
) -> Result<(), EngineError> {
    let events = &writer.handle.connected().await?.events;
    let Some(found) = found else {
        let document = events::document(entry, event, head.head.revision);
        let inserted = async { insert_missing(events, &[document]).await };
        return writer.handle.request(EVENTS_WRITTEN, inserted).await;
    };
    let fence = Fields::of("an event", found).number("w").unwrap_or(head.head.revision);
    let seen = found.get("w").cloned().unwrap_or(Bson::Null);
    let filter = doc! { "_id": schema::event_id(event.position), "w": seen };
    let document = events::document(entry, event, fence);
    let replaced = async {
        let done = events.replace_one(filter, document).await?;
        Ok::<_, Error>(done.matched_count)
    };
    match writer.handle.request(EVENTS_WRITTEN, replaced).await? {
        0 => Err(Failure::Unreachable("the document was replaced meanwhile".into()).into()),
        _ => Ok(()),
    }
}
