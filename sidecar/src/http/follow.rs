use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use polylog_api::{Problem, Token, headers};
use polylog_log::{Position, Timestamp};
use polylog_replication::{FollowOptions, Start};

use super::{
    context::{Context, header_token},
    handle,
    negotiate::{self, Format},
    query::invalid,
    respond::{self, Answer},
    server_sent::ServerSent,
};
use crate::{
    filter::Filter,
    hosted::token_point,
    operations::{CATCH_UP, LARGEST, Subscription, Until, errors},
    policy::Verb,
};

/// `GET subscribe`
pub(crate) async fn subscribe(mut context: Context) -> Answer {
    negotiate::choose(&context.headers, &[Format::EventStream])?;
    context.lane()?;
    let filter = Filter::take(&mut context.query)?;
    let include_system = context.query.flag("includeSystem")?;
    let until = context.query.with("until", Until::parse)?;
    let Begin { start, last_id, since } = begin(&mut context)?;
    let view = context.view(Verb::Subscribe, filter)?;
    let server = &context.call.server;
    let place = server.room().stream()?;
    if let (Some(Until::Position(end)), Some(last)) = (until, last_id)
        && last.position() >= end
    {
        return Ok(handle::empty(StatusCode::NO_CONTENT));
    }
    let options = FollowOptions { include_system, wait: CATCH_UP, ..FollowOptions::default() };
    let follower = view.hosted().store.follow(start, options).await.map_err(errors::of_read)?;
    let counted = server.metrics.subscriber(&view.hosted().name);
    let mut subscription = Subscription::new(view, follower, until, (place, counted)).since(since);
    let mut first = ServerSent::greeting();
    if until.is_some() && last_id.is_some() {
        // whether there is anything left shows in the first step
        let mut frames = ServerSent::default();
        subscription.step(&mut frames).await;
        first.0.extend_from_slice(&frames.0);
        if subscription.is_over_without_events() {
            return Ok(handle::empty(StatusCode::NO_CONTENT));
        }
    }
    let first = stream::once(async move { Ok::<_, std::convert::Infallible>(Bytes::from(first.0)) });
    let rest = stream::unfold(subscription, |mut subscription| async move {
        if subscription.is_over() {
            return None;
        }
        let mut frames = ServerSent::default();
        subscription.step(&mut frames).await;
        Some((Ok(Bytes::from(frames.0)), subscription))
    });
    let mut response = Response::new(Body::from_stream(first.chain(rest)));
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(headers::EVENT_STREAM));
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    respond::set(&mut response, "x-accel-buffering", "no");
    Ok(response)
}

/// Where a subscription begins.
struct Begin {
    start: Start,
    last_id: Option<Token>,
    /// Nothing that was recorded before is shown, also after a pause: the time may be one to come.
    since: Option<Timestamp>,
}

/// Where to begin. The id of the last event wins, for that is what a browser sends when it connects again to the
/// address that it was given first.
fn begin(context: &mut Context) -> Result<Begin, Problem> {
    let query = &mut context.query;
    let read_from = |text: &str| match text {
        "beginning" => Ok(Start::Beginning),
        "now" => Ok(Start::Now),
        _ => Err("it must be beginning or now".to_owned()),
    };
    let from = query.with("from", read_from)?;
    let after = query.number("after", 0, LARGEST)?.map(|after| Start::After(Position::new(after)));
    let read_time = |text: &str| Timestamp::parse(text).map_err(|error| error.to_string());
    let since = query.with("since", read_time)?;
    let token: Option<Token> = query.parsed("token")?;
    let token_start = token.map(|token| Start::Token(token_point(token)));
    let given: Vec<Start> =
        [from, after, since.map(Start::Since), token_start].into_iter().flatten().collect();
    if given.len() > 1 {
        return Err(invalid("from", "only one of from, after, since and token can be given"));
    }
    let is_empty = context.headers.get(headers::LAST_EVENT_ID).is_some_and(|id| id.is_empty());
    let last_id = if is_empty { None } else { header_token(&context.headers, headers::LAST_EVENT_ID)? };
    let start = match last_id {
        Some(token) => Start::Token(token_point(token)),
        None => given.first().copied().unwrap_or(Start::Beginning),
    };
    Ok(Begin { start, last_id, since })
}
