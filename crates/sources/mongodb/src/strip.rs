use mongodb::{
    bson::{Bson, doc},
    error::Error,
};
use polylog_log::{Failure, Head, Identity, OperationError, Rules, Strip};

use crate::{error::EngineError, faults::EVENTS_WRITTEN, fields::binary, operation::Writer, schema};

/// See [`polylog_log::Source::strip`].
///
/// What is not written out yet stands in the head with its data: then nothing is dropped, and the sender comes again.
pub(crate) async fn strip(writer: &mut Writer, of: &Identity, strip: &Strip) -> Result<Head, OperationError> {
    let before = |error: EngineError| OperationError::Failed(error.failure());
    let document = writer.handle.head_document().await.map_err(before)?;
    let head = document.head.clone();
    head.admit_strip(of, Rules::ALL)
        .map_err(|reason| OperationError::Refused { reason, head: Box::new(head.clone()) })?;
    if strip.events.iter().any(|(position, _)| *position > document.base.position) {
        let waits = "the last batch is not written out yet".to_owned();
        return Err(OperationError::Failed(Failure::Unreachable(waits)));
    }
    let events = &writer.handle.connected().await.map_err(before)?.events;
    for (position, digest) in &strip.events {
        let filter = doc! {
            "_id": schema::event_id(*position),
            "digest": binary(digest.as_bytes()),
            "eventType": { "$not": { "$regex": r"^\$" } },
        };
        let dropped = doc! { "$set": { "rawData": Bson::Null, "eventData": Bson::Null } };
        let updated = async {
            events.update_one(filter, dropped).await?;
            Ok::<_, Error>(())
        };
        let updated = writer.handle.request(EVENTS_WRITTEN, updated).await;
        updated.map_err(|error| OperationError::Unknown(error.failure()))?;
    }
    Ok(head)
}
