use http::StatusCode;
use polylog_api::{Code, Framing, Location, LocationsAnswer, Problem};
use polylog_log::EventId;
use polylog_replication::EventRead;

use super::{
    context::Context,
    errors,
    negotiate::{self, Format},
    query::Query,
    read,
    respond::{self, Answer},
    view::View,
};
use crate::{filter::Filter, pipeline::denied, policy::Verb};

/// `GET events/{id}`
pub(crate) async fn by_id(mut context: Context, id: &str) -> Answer {
    let format = negotiate::choose(&context.headers, &[Format::Json, Format::CloudEvent])?;
    let (view, found) = find(&mut context, id).await?;
    let Some(recorded) = &found.event else { return Err(not_found(id).into()) };
    let mut body = Vec::new();
    let source = view.hosted().cloud_event_source();
    let is_shown = match format {
        Format::CloudEvent => view.write_cloud_event(&mut body, recorded, &source),
        _ => view.write(&mut body, recorded, Framing::Document),
    };
    if !is_shown {
        return Err(unreadable(&context, recorded.event.category.as_str()).into());
    }
    let mut response = respond::full(StatusCode::OK, format.media_type(), body);
    read::stamp(&mut response, &view, &found.served);
    Ok(response)
}

/// `GET events/{id}/locations`
pub(crate) async fn locations(mut context: Context, id: &str) -> Answer {
    let (view, found) = find(&mut context, id).await?;
    let Some(recorded) = &found.event else { return Err(not_found(id).into()) };
    if view.show(recorded).is_none() {
        return Err(unreadable(&context, recorded.event.category.as_str()).into());
    }
    let location = |source: &crate::hosted::DeclaredSource| {
        let is_here = source.name == found.served.source;
        Location {
            source: source.name.clone(),
            present: is_here,
            term: is_here.then_some(recorded.term),
            digest: is_here.then_some(recorded.event.digest),
            note: if is_here { String::new() } else { source.unprovisioned.clone().unwrap_or_default() },
        }
    };
    let locations = view.hosted().sources.iter().map(location).collect();
    let answer = LocationsAnswer { position: recorded.event.position, locations };
    let mut response = respond::json(StatusCode::OK, &answer);
    read::stamp(&mut response, &view, &found.served);
    Ok(response)
}

/// `GET streams/{stream}/head`
pub(crate) async fn stream_head(mut context: Context, name: &str) -> Answer {
    let stream = read::readable_name(name)?;
    let options = context.read_options()?;
    let view = view(&mut context)?;
    let head = view.hosted().store.stream_head(&stream, &options).await.map_err(errors::of_read)?;
    read::check_stream(&context, &view, &stream, head.stream.as_ref().map(|head| &head.category))?;
    let mut body = Vec::new();
    let version = head.stream.as_ref().map_or(0, |head| head.version.get());
    body.extend_from_slice(format!("{{\"version\":{version},\"last\":").as_bytes());
    match &head.last {
        Some(recorded) if view.write(&mut body, recorded, Framing::Document) => {}
        _ => return Err(Problem::new(Code::Internal, "the stream's last event is not there").into()),
    }
    body.push(b'}');
    let mut response = respond::full(StatusCode::OK, Format::Json.media_type(), body);
    read::stamp(&mut response, &view, &head.served);
    Ok(response)
}

async fn find(context: &mut Context, id: &str) -> Result<(View, EventRead), Problem> {
    let uuid = uuid::Uuid::try_parse(id).map_err(|_| {
        Problem::new(Code::InvalidRequest, "an event's id is a UUID")
            .next_step("look events up by their id; positions go with GET events?from=…")
            .fact("path", "id")
    })?;
    let options = context.read_options()?;
    let view = view(context)?;
    let found = view.hosted().store.find(EventId::new(uuid), &options).await.map_err(errors::of_read)?;
    Ok((view, found))
}

fn view(context: &mut Context) -> Result<View, Problem> {
    std::mem::replace(&mut context.query, Query::parse(None)?).finish()?;
    let Context { hosted, policy, caller, .. } = context;
    View::new(hosted.clone(), policy.clone(), caller.subject.clone(), Verb::Read, Filter::default())
}

fn unreadable(context: &Context, category: &str) -> Problem {
    let verb = if category.starts_with('$') { Verb::Admin } else { Verb::Read };
    denied(&context.caller.subject, verb, Some(category))
}

fn not_found(id: &str) -> Problem {
    let shown: String = id.chars().take(50).collect();
    Problem::new(Code::EventNotFound, format_args!("the log has no event {shown}"))
        .next_step("check the id, and that it was appended to this store")
}
