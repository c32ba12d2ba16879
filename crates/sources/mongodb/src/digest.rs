use std::{future::IntoFuture, ops::RangeInclusive};

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use polylog_log::{Chain, Digest, Digests, Position};

use crate::{
    connection::Handle,
    error::EngineError,
    faults::EVENTS_READ,
    fields::{Fields, number},
    head::HeadDocument,
};

/// See [`polylog_log::Source::digests`].
pub(crate) async fn digests(
    handle: &Handle,
    range: &RangeInclusive<Position>,
) -> Result<Digests, EngineError> {
    loop {
        let head = handle.head_to_read().await?;
        let digests = of_head(handle, &head, range).await?;
        if handle.cuts().await? == head.head.cuts() {
            return Ok(digests);
        }
    }
}

async fn of_head(
    handle: &Handle,
    head: &HeadDocument,
    range: &RangeInclusive<Position>,
) -> Result<Digests, EngineError> {
    let (from, to) = (*range.start(), (*range.end()).min(head.base.position));
    let filter = doc! { "position": { "$gte": number(from.get()), "$lte": number(to.get()) } };
    // by the id, which every database has an index of
    let ids = doc! { "$gte": crate::schema::event_id(from), "$lte": crate::schema::event_id(to) };
    let find = handle.connected().await?.events.find(doc! { "$and": [{ "_id": ids }, filter] });
    let find = find.projection(doc! { "digest": 1, "position": 1, "chain": 1 });
    let mut digests = Digests { count: 0, combined: Digest::from_bytes([0; 16]), chain: None };
    let mut add = |position: Position, digest: Digest, chain: Chain| {
        digests.count += 1;
        digests.combined.combine(digest);
        if position == *range.end() {
            digests.chain = Some(chain);
        }
    };
    let found = async { find.into_future().await?.try_collect::<Vec<Document>>().await };
    for document in handle.request(EVENTS_READ, found).await? {
        let fields = Fields::of("an event", &document);
        let (digest, chain) = (fields.bytes("digest")?, fields.bytes("chain")?);
        add(Position::new(fields.number("position")?), Digest::from_bytes(digest), Chain::from_bytes(chain));
    }
    for (entry, event) in head.in_batch().filter(|(_, event)| range.contains(&event.position)) {
        add(event.position, event.digest, entry.chain);
    }
    Ok(digests)
}
