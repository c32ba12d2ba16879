use std::future::IntoFuture;

use mongodb::{
    Collection,
    bson::{Document, doc},
};
use polylog_log::{Failure, RefusedReason};
use uuid::Uuid;

use crate::{
    MongodbConfig,
    connection::Handle,
    durability::{UNHEEDED, unsuitable},
    error::EngineError,
    fields::Fields,
    schema::PROBE,
};

/// Clients that try at the same time.
const AT_ONCE: usize = 8;

/// Tries whether the server has what a log needs: ids that are unique, updates of one document that nothing comes between,
/// and writes that a majority has before they are answered. There are servers of MongoDB's protocol that lack the one or
/// the other, and say nothing of it.
///
/// # Errors
/// `Refused` as unsuitable, with the property that is missing.
pub async fn probe(config: &MongodbConfig) -> Result<(), Failure> {
    let handle = Handle::new(config.clone());
    let outcome = try_all(&handle).await;
    handle.close().await;
    outcome.map_err(|error| error.failure())
}

/// As [`probe`].
pub(super) async fn try_all(handle: &Handle) -> Result<(), EngineError> {
    let rounds = handle.config.probe_rounds;
    if rounds == 0 {
        return Ok(());
    }
    let scratch: Collection<Document> =
        handle.connected().await?.database.collection(&handle.config.collection(PROBE));
    let run = Uuid::new_v4().to_string();
    let outcome = async {
        majorities(handle, &scratch, &run).await?;
        for round in 0..rounds {
            unique_ids(handle, &scratch, &format!("{run}/id/{round}")).await?;
        }
        increments(handle, &scratch, &run).await?;
        swaps(handle, &scratch, &run).await
    }
    .await;
    // also those that a probe before could not remove
    let removed = handle.patiently(scratch.drop().into_future()).await;
    outcome.and(removed)
}

/// A write that a majority shall have on disk; and whether the server looks at what is asked of it at all.
async fn majorities(handle: &Handle, scratch: &Collection<Document>, run: &str) -> Result<(), EngineError> {
    let insert = scratch.insert_one(doc! { "_id": format!("{run}/majority") });
    match handle.patiently(insert.into_future()).await {
        Ok(_) => {}
        // who may not write here, or finds no room, learns nothing of the server
        Err(error) if is_refused(&error) => return Err(error),
        Err(error @ EngineError::Driver(_)) => {
            let why =
                format!("it does not confirm a write with w: majority and j: true: {}", error.failure());
            return Err(unsuitable(why));
        }
        Err(error) => return Err(error),
    }
    if handle.config.allow_unsafe_durability {
        return Ok(());
    }
    if handle.heeds_write_concerns(scratch).await? {
        return Ok(());
    }
    Err(unsuitable(format!("{UNHEEDED}, so that what it acknowledges may be lost")))
}

fn is_refused(error: &EngineError) -> bool {
    let Failure::Refused { reason, .. } = error.failure() else { return false };
    reason != RefusedReason::Unsuitable
}

/// Of many who insert one id, one succeeds.
async fn unique_ids(handle: &Handle, scratch: &Collection<Document>, id: &str) -> Result<(), EngineError> {
    let insert = |_| async move {
        match handle.patiently(scratch.insert_one(doc! { "_id": id }).into_future()).await {
            Ok(_) => Ok(1),
            Err(error) if error.is_duplicate_id() => Ok(0),
            Err(error) => Err(error),
        }
    };
    let taken = at_once(AT_ONCE, insert).await?;
    match taken {
        1 => Ok(()),
        _ => Err(unsuitable(format!(
            "of {AT_ONCE} that inserted one _id at once, {taken} succeeded instead of 1"
        ))),
    }
}

/// None of many increments gets lost.
async fn increments(handle: &Handle, scratch: &Collection<Document>, run: &str) -> Result<(), EngineError> {
    let id = &format!("{run}/increments");
    handle.patiently(scratch.insert_one(doc! { "_id": id, "n": 0_i64 }).into_future()).await?;
    let increment = |_| async move {
        let update = scratch.update_one(doc! { "_id": id }, doc! { "$inc": { "n": 1_i64 } });
        Ok(handle.patiently(update.into_future()).await?.matched_count)
    };
    let done = at_once(AT_ONCE * handle.config.probe_rounds, increment).await?;
    let counted = counter(handle, scratch, id).await?;
    if counted == done {
        return Ok(());
    }
    Err(unsuitable(format!(
        "updates of one document are not atomic: of {done} increments at once {counted} are left"
    )))
}

/// Of many who replace what they have seen, each that is told that it succeeded did.
async fn swaps(handle: &Handle, scratch: &Collection<Document>, run: &str) -> Result<(), EngineError> {
    let id = &format!("{run}/swaps");
    handle.patiently(scratch.insert_one(doc! { "_id": id, "n": 0_i64 }).into_future()).await?;
    let swap = |_| async move {
        let seen = counter(handle, scratch, id).await?.cast_signed();
        let update = scratch.update_one(doc! { "_id": id, "n": seen }, doc! { "$set": { "n": seen + 1 } });
        Ok(handle.patiently(update.into_future()).await?.matched_count)
    };
    let won = at_once(AT_ONCE * handle.config.probe_rounds, swap).await?;
    let counted = counter(handle, scratch, id).await?;
    if counted == won {
        return Ok(());
    }
    Err(unsuitable(format!(
        "conditional updates are not atomic: {won} were acknowledged of a counter that stands at {counted}"
    )))
}

async fn counter(handle: &Handle, scratch: &Collection<Document>, id: &str) -> Result<u64, EngineError> {
    let found = handle.patiently(scratch.find_one(doc! { "_id": id }).into_future()).await?;
    let found = found.ok_or_else(|| unsuitable("a document that was inserted is not there"))?;
    Ok(Fields::of("a probe", &found).number("n")?)
}

/// Adds up what many give, so many at a time.
async fn at_once<F>(count: usize, work: impl Fn(usize) -> F) -> Result<u64, EngineError>
where
    F: Future<Output = Result<u64, EngineError>>,
{
    let (mut sum, all) = (0, Vec::from_iter(0..count));
    for some in all.chunks(AT_ONCE) {
        let done = futures::future::try_join_all(some.iter().map(|number| work(*number))).await?;
        sum += done.iter().sum::<u64>();
    }
    Ok(sum)
}
