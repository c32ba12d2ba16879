use std::future::IntoFuture;

use mongodb::bson::{Document, doc};
use polylog_log::{Identity, Lease, LeaseAnswer, LeaseSwap, OperationError, Refusal};

use crate::{
    connection::{Connected, Handle},
    error::EngineError,
    faults::LEASE_SWAPPED,
    fields::{Fields, number},
};

/// See [`polylog_log::Source::lease`].
pub(crate) async fn lease(
    handle: &Handle,
    of: &Identity,
    swap: &LeaseSwap,
) -> Result<LeaseAnswer, OperationError> {
    let failed = |error: EngineError| OperationError::Failed(error.failure());
    let head = handle.head_alone().await.map_err(failed)?;
    if head.identity != *of {
        return Err(OperationError::Refused { reason: Refusal::WrongStore, head: Box::new(head) });
    }
    let connected = handle.connected().await.map_err(failed)?;
    let swapped = match handle.request(LEASE_SWAPPED, replace(connected, swap)).await {
        Ok(swapped) => swapped,
        Err(error) if error.is_duplicate_id() => false,
        Err(error) if error.left_nothing() => return Err(failed(error)),
        Err(error) => return Err(OperationError::Unknown(error.failure())),
    };
    if swapped {
        return Ok(LeaseAnswer { swapped, lease: swap.set.clone() });
    }
    let lease = held(handle, connected, &swap.name).await.map_err(failed)?;
    Ok(LeaseAnswer { swapped: swap.expect == lease && swap.set == lease, lease })
}

async fn replace(connected: &Connected, swap: &LeaseSwap) -> Result<bool, mongodb::error::Error> {
    let leases = &connected.leases;
    let expected =
        |lease: &Lease| doc! { "_id": &swap.name, "holder": &lease.holder, "beat": number(lease.beat) };
    match (&swap.expect, &swap.set) {
        (None, None) => Ok(false),
        // its id is unique: one of many comes first
        (None, Some(set)) => leases.insert_one(expected(set)).await.map(|_| true),
        (Some(expect), Some(set)) => {
            let set = doc! { "$set": { "holder": &set.holder, "beat": number(set.beat) } };
            Ok(leases.update_one(expected(expect), set).await?.matched_count == 1)
        }
        (Some(expect), None) => Ok(leases.delete_one(expected(expect)).await?.deleted_count == 1),
    }
}

async fn held(handle: &Handle, connected: &Connected, name: &str) -> Result<Option<Lease>, EngineError> {
    let found: Option<Document> =
        handle.patiently(connected.leases.find_one(doc! { "_id": name }).into_future()).await?;
    let Some(found) = found else { return Ok(None) };
    let fields = Fields::of("a lease", &found);
    Ok(Some(Lease { holder: fields.text("holder")?.to_owned(), beat: fields.number("beat")? }))
}
