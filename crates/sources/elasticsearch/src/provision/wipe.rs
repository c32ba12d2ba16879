use elasticsearch::http::Method;
use polylog_log::{Failure, LogId};

use super::{Place, inspect::look, plan::unknown};
use crate::{
    ElasticsearchConfig,
    connection::{Body, Handle},
    error::EngineError,
    schema::KINDS,
};

/// Deletes the indices of a log, and nothing else. `config` has the credential that provisions. Returns what was deleted;
/// nothing where there is no log (any more).
///
/// The head, which says whose indices they are, is deleted last, so that a wipe that ended early is completed by the next.
///
/// # Errors
/// `WrongStore` where they hold another log or are not ours, and `Damaged` where there are events and nothing says of which
/// log: nothing is deleted then.
pub async fn wipe(
    config: &ElasticsearchConfig,
    place: &Place,
    log: LogId,
) -> Result<Vec<&'static str>, Failure> {
    let config = ElasticsearchConfig { indices: place.indices.clone(), ..config.clone() };
    carry_out(&Handle::new(config), place, log).await.map_err(|error| error.failure())
}

async fn carry_out(handle: &Handle, place: &Place, log: LogId) -> Result<Vec<&'static str>, EngineError> {
    let actual = look(handle, place).await?;
    super::plan::check_ours(place, &actual)?;
    let Some(identity) = actual.identity else {
        return match actual.events {
            0 => Ok(Vec::new()),
            events => Err(unknown(events).into()),
        };
    };
    if identity.log != log {
        let words = format!("the indices hold log {}, not {log}: nothing was deleted", identity.log);
        return Err(Failure::WrongStore(words).into());
    }
    let mut deleted = Vec::new();
    // the head is the last of them
    for kind in KINDS {
        let Some(stored) = actual.indices.get(&kind) else { continue };
        handle.send(Method::Delete, &format!("/{}", stored.name), Body::Nothing).await?.ok()?;
        deleted.push(kind.word());
    }
    Ok(deleted)
}
