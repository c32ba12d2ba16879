use http::StatusCode;
use polylog_api::{Code, Framing, Problem};
use polylog_log::EventId;

use super::{
    context::Context,
    negotiate::{self, Format},
    read,
    respond::{self, Answer},
};
use crate::operations::{self, By, unreadable};

/// `GET events/{id}`
pub(crate) async fn by_id(mut context: Context, id: &str) -> Answer {
    let format = negotiate::choose(&context.headers, &[Format::Json, Format::CloudEvent])?;
    let by = parse(id)?;
    let options = context.read_options()?;
    context.finish()?;
    let found = operations::find(&context.call, by, &options).await?;
    let (view, recorded) = (&found.view, &found.recorded);
    let mut body = Vec::new();
    let is_shown = match format {
        Format::CloudEvent => {
            view.write_cloud_event(&mut body, recorded, &view.hosted().cloud_event_source())
        }
        _ => view.write(&mut body, recorded, Framing::Document),
    };
    if !is_shown {
        return Err(unreadable(&context.call, recorded.event.category.as_str()).into());
    }
    let mut response = respond::full(StatusCode::OK, format.media_type(), body);
    read::stamp(&mut response, view, &found.served);
    Ok(response)
}

/// `GET events/{id}/locations`
pub(crate) async fn locations(mut context: Context, id: &str) -> Answer {
    let by = parse(id)?;
    let options = context.read_options()?;
    context.finish()?;
    let found = operations::find(&context.call, by, &options).await?;
    let answer = operations::locations(&context.call, &found)?;
    let mut response = respond::json(StatusCode::OK, &answer);
    read::stamp(&mut response, &found.view, &found.served);
    Ok(response)
}

/// `GET streams/{stream}/head`
pub(crate) async fn stream_head(mut context: Context, name: &str) -> Answer {
    let stream = operations::readable_name(name)?;
    let options = context.read_options()?;
    context.finish()?;
    let (version, found) = operations::stream_head(&context.call, &stream, &options).await?;
    let mut body = format!("{{\"version\":{version},\"last\":").into_bytes();
    if !found.view.write(&mut body, &found.recorded, Framing::Document) {
        return Err(unreadable(&context.call, found.recorded.event.category.as_str()).into());
    }
    body.push(b'}');
    let mut response = respond::full(StatusCode::OK, Format::Json.media_type(), body);
    read::stamp(&mut response, &found.view, &found.served);
    Ok(response)
}

fn parse(id: &str) -> Result<By, Problem> {
    let uuid = uuid::Uuid::try_parse(id).map_err(|_| {
        Problem::new(Code::InvalidRequest, "an event's id is a UUID")
            .next_step("look events up by their id; positions go with GET events?from=…")
            .fact("path", "id")
    })?;
    Ok(By::Id(EventId::new(uuid)))
}
