use axum::response::Response;
use polylog_api::{
    Problem,
    grpc::{locations, write_event},
    proto::polylog::v1,
};
use polylog_log::{EventId, Position};
use prost::Message;
use uuid::Uuid;

use super::{
    answer,
    fields::{self, invalid},
    message::Incoming,
};
use crate::operations::{self, By, Call, readable_name, unreadable};

/// `GetEvent`
pub(super) async fn get(mut incoming: Incoming) -> Result<Response, Problem> {
    let (call, found) = find(&mut incoming).await?;
    let rest =
        v1::GetEventResponse { event: None, served: Some(fields::served(&call.hosted, &found.served)) };
    with_event(&call, &found.view, &found.recorded, 1, &rest)
}

/// `LocateEvent`
pub(super) async fn locate(mut incoming: Incoming) -> Result<Response, Problem> {
    let (call, found) = find(&mut incoming).await?;
    Ok(answer::one(&locations(operations::locations(&call, &found)?)))
}

/// `GetStreamHead`
pub(super) async fn stream_head(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<v1::GetStreamHeadRequest>().await?.message;
    let call = incoming.call(&request.store)?;
    let stream = readable_name(&request.stream)?;
    let options = fields::read_options(&call, request.options)?;
    let (version, found) = operations::stream_head(&call, &stream, &options).await?;
    let rest = v1::GetStreamHeadResponse {
        version: version.get(),
        last: None,
        served: Some(fields::served(&call.hosted, &found.served)),
    };
    with_event(&call, &found.view, &found.recorded, 2, &rest)
}

async fn find(incoming: &mut Incoming) -> Result<(Call, operations::Found), Problem> {
    let request = incoming.only::<v1::GetEventRequest>().await?.message;
    let call = incoming.call(&request.store)?;
    fields::lane(request.lane)?;
    let by = match request.by {
        Some(v1::get_event_request::By::Id(text)) => {
            let id = Uuid::try_parse(&text).map_err(|_| invalid("id", "an event's id is a UUID"))?;
            By::Id(EventId::new(id))
        }
        Some(v1::get_event_request::By::Position(position)) => {
            By::Position(Position::new(fields::number("position", position)?))
        }
        None => return Err(invalid("by", "give an id or a position")),
    };
    let options = fields::read_options(&call, request.options)?;
    let found = operations::find(&call, by, &options).await?;
    Ok((call, found))
}

/// An answer that holds an event as the field `tag`, and the fields of `rest`: a message is the sum of its fields.
fn with_event(
    call: &Call,
    view: &operations::View,
    recorded: &polylog_log::RecordedEvent,
    tag: u32,
    rest: &impl Message,
) -> Result<Response, Problem> {
    let Some((event, state)) = view.show(recorded) else {
        return Err(unreadable(call, recorded.event.category.as_str()));
    };
    let mut framed = vec![0; 5];
    write_event(&mut framed, tag, &event, state);
    rest.encode(&mut framed).expect("a vector grows as it must");
    let length = u32::try_from(framed.len() - 5).expect("events are smaller than 4 GiB by their limits");
    framed[1..5].copy_from_slice(&length.to_be_bytes());
    Ok(answer::whole(framed))
}
