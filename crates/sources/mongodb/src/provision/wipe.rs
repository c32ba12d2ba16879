use std::future::IntoFuture;

use mongodb::bson::Document;
use polylog_log::{Failure, LogId};

use super::inspect::look;
use crate::{
    MongodbConfig,
    connection::Handle,
    error::EngineError,
    schema::{COLLECTIONS, HEAD, PROBE},
};

/// Drops the collections of a log, and nothing else. `config` has the credential that provisions. Returns the collections
/// that were dropped, without their prefix; none where the database holds no log (any more).
///
/// The head, which says whose collections they are, is dropped last, so that a wipe that ended early is completed by the
/// next. What else is in the database stays.
///
/// # Errors
/// `WrongStore` where it holds another log, or foreign documents under one of our names, and `Damaged` where there are
/// events and nothing says of which log: nothing is dropped then.
pub async fn wipe(config: &MongodbConfig, log: LogId) -> Result<Vec<&'static str>, Failure> {
    let handle = Handle::new(config.clone());
    let wiped = carry_out(&handle, log).await.map_err(|error| error.failure());
    handle.close().await;
    wiped
}

async fn carry_out(handle: &Handle, log: LogId) -> Result<Vec<&'static str>, EngineError> {
    let actual = look(handle).await?;
    let Some(identity) = actual.identity else {
        return match actual.events {
            0 => Ok(Vec::new()),
            events => Err(unknown(events).into()),
        };
    };
    if identity.log != log {
        let words = format!("the database holds log {}, not {log}: nothing was dropped", identity.log);
        return Err(Failure::WrongStore(words).into());
    }
    let is_there = |name: &&str| actual.collections.contains(*name);
    let last = COLLECTIONS.into_iter().filter(|name| *name == HEAD);
    let first = COLLECTIONS.into_iter().filter(|name| *name != HEAD);
    let dropped: Vec<&'static str> = first.chain(last).filter(is_there).collect();
    let database = &handle.connected().await?.database;
    // a probe that ended early left its own
    let there = handle.patiently(database.list_collection_names().into_future()).await?;
    for name in [PROBE].iter().chain(&dropped) {
        let name = handle.config.collection(name);
        if !there.contains(&name) {
            continue;
        }
        let collection = database.collection::<Document>(&name);
        handle.patiently(collection.drop().into_future()).await?;
    }
    Ok(dropped)
}

fn unknown(events: u64) -> Failure {
    Failure::Damaged(format!(
        "{events} events and no head: nothing says of which log, and nothing was dropped"
    ))
}
