use polylog_log::{Identity, Lease, LeaseAnswer, LeaseSwap, OperationError, Refusal};
use serde::{Deserialize, Serialize};

use crate::{
    connection::Handle,
    error::EngineError,
    faults::{LEASE_SWAPPED, NOWHERE},
    requests::{Found, Token},
    schema,
};

/// How often a swap is tried again because others came in between.
const TRIES: usize = 8;

/// A lease's document; one that was given up stays, without a lease.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stored {
    lease: Option<Lease>,
}

/// See [`polylog_log::Source::lease`].
pub(crate) async fn lease(
    handle: &Handle,
    of: &Identity,
    swap: &LeaseSwap,
) -> Result<LeaseAnswer, OperationError> {
    let failed = |error: EngineError| OperationError::Failed(error.failure());
    let head = handle.head_alone().await.map_err(failed)?;
    if *of != head.identity {
        return Err(OperationError::Refused { reason: Refusal::WrongStore, head: Box::new(head) });
    }
    let indices = &handle.config.indices;
    let (index, id) = (indices.head(), schema::lease_id(indices, &swap.name));
    let mut last = None;
    for _ in 0..TRIES {
        let found: Option<Found<Stored>> = handle.get(NOWHERE, &index, &id, "").await.map_err(failed)?;
        let (token, lease): (Option<Token>, _) = match found {
            Some(Found { token, content }) => (Some(token), content.lease),
            None => (None, None),
        };
        if lease != swap.expect || swap.set == lease {
            return Ok(LeaseAnswer { swapped: lease == swap.expect, lease });
        }
        let next = Stored { lease: swap.set.clone() };
        match handle.put_if(LEASE_SWAPPED, &index, &id, token, &next).await {
            Ok(_) => return Ok(LeaseAnswer { swapped: true, lease: next.lease }),
            Err(error) if error.is_conflict() => last = Some(error),
            Err(error) if error.left_nothing() => return Err(failed(error)),
            Err(error) => return Err(OperationError::Unknown(error.failure())),
        }
    }
    let failure = last.map_or_else(|| "no try".into(), |error| error.to_string());
    Err(OperationError::Unknown(polylog_log::Failure::Unreachable(failure)))
}
