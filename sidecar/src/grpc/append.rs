use axum::response::Response;
use polylog_api::{IdempotencyKey, Keyed, Problem, grpc, proto::polylog::v1};
use polylog_log::Acks;

use super::{
    answer,
    fields::invalid,
    message::{Incoming, Received},
};
use crate::operations::{self, MOST_MISSED};

/// `Append`
pub(super) async fn append(mut incoming: Incoming) -> Result<Response, Problem> {
    let Received { message, place } = incoming.only_large::<v1::AppendRequest>(grpc::check_size).await?;
    let call = incoming.call(&message.store)?;
    let v1::AppendRequest { appends, idempotency_key, acks, missed_limit, .. } = message;
    let acks: Option<Acks> =
        (!acks.is_empty()).then(|| acks.parse()).transpose().map_err(|error| invalid("acks", error))?;
    if u64::from(missed_limit) > MOST_MISSED {
        return Err(invalid("missed_limit", format_args!("it may be at most {MOST_MISSED}")));
    }
    let key = (!idempotency_key.is_empty())
        .then(|| IdempotencyKey::parse(idempotency_key.as_bytes()))
        .transpose()
        .map_err(|error| invalid("idempotency_key", error))?;
    let scope = key.as_ref().map(|_| call.caller.peer.subject.to_string()).unwrap_or_default();
    let keyed = key.as_ref().map(|key| Keyed { scope: &scope, key });
    let log = call.hosted.store.identity().log;
    let commit = grpc::commit(appends, log, keyed, operations::new_id).map_err(Problem::from)?;
    let acknowledged = operations::append(&call, commit, acks, missed_limit as usize).await?;
    drop(place);
    let (_, response) = operations::answer(&call.hosted, acknowledged);
    Ok(answer::one(&grpc::append_response(response)))
}
