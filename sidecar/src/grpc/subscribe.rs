use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use polylog_api::{
    DataState, Frame, Mark, Problem, Token,
    grpc::{duration, time, write_event_frame},
    proto::polylog::v1::{self, subscribe_frame, subscribe_request},
};
use polylog_log::{Position, RecordedEvent, Timestamp};
use polylog_replication::{FollowOptions, Start};

use super::{
    answer::{self, Messages},
    fields::{self, invalid},
    message::Incoming,
};
use crate::{
    hosted::token_point,
    http::Place,
    metrics::Subscriber,
    operations::{CATCH_UP, Frames, Subscription, errors},
    policy::Verb,
};

/// How often a heartbeat may be asked for.
const HEARTBEAT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
/// The field of a `SubscribeFrame` that holds an event.
const EVENT: u32 = 1;

/// `Subscribe`
pub(super) async fn subscribe(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<v1::SubscribeRequest>().await?.message;
    let call = incoming.call(&request.store)?;
    fields::lane(request.lane)?;
    let (filter, include_system) = fields::filter(request.filter)?;
    let (start, since) = start(request.start)?;
    let mut options = FollowOptions { include_system, wait: CATCH_UP, ..FollowOptions::default() };
    if let Some(given) = &request.heartbeat {
        let heartbeat = duration(given).map_err(|reason| invalid("heartbeat", reason))?;
        if !HEARTBEAT.contains(&heartbeat) {
            return Err(invalid("heartbeat", "it must be from 100 ms to 5 min"));
        }
        options.heartbeat = heartbeat;
    }
    let view = call.view(Verb::Subscribe, filter)?;
    let place = call.server.room().stream()?;
    let follower = call.hosted.store.follow(start, options).await.map_err(errors::of_read)?;
    let counted = call.server.metrics.subscriber(&call.hosted.name);
    let subscription = Subscription::new(view, follower, None, (place, counted)).since(since);
    Ok(answer::many(Following(subscription)))
}

/// Where to begin, and the time before which nothing is shown: it may be one to come.
fn start(given: Option<subscribe_request::Start>) -> Result<(Start, Option<Timestamp>), Problem> {
    use subscribe_request::Start as Given;
    let start = match given {
        None | Some(Given::Beginning(true)) => Start::Beginning,
        Some(Given::Now(true)) => Start::Now,
        Some(Given::Beginning(false) | Given::Now(false)) => {
            return Err(invalid("start", "beginning and now can only be set to true"));
        }
        Some(Given::After(position)) => Start::After(Position::new(fields::number("after", position)?)),
        Some(Given::Token(text)) => match fields::token("token", &text)? {
            Some(token) => Start::Token(token_point(token)),
            None => return Err(invalid("token", "it is empty; leave start out to begin at the beginning")),
        },
        Some(Given::At(given)) => {
            let at = time(&given).map_err(|reason| invalid("at", reason))?;
            return Ok((Start::Since(at), Some(at)));
        }
    };
    Ok((start, None))
}

struct Following(Subscription<(Place, Subscriber)>);

impl Messages for Following {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let mut written = Written::default();
        self.0.step(&mut written).await;
        // a step writes either frames or what ends it
        match written.problem {
            Some(problem) => Err(problem),
            None => Ok(Some(written.messages.into())),
        }
    }
}

/// Frames of a subscription as messages.
#[derive(Default)]
struct Written {
    messages: Vec<u8>,
    problem: Option<Problem>,
}

impl Frames for Written {
    const EVENTS_HOLD_TOKENS: bool = false;

    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.problem.is_none()
    }

    fn event(&mut self, _: Token, recorded: &RecordedEvent, state: DataState) {
        write_event_frame(&mut self.messages, EVENT, recorded, state);
    }

    fn mark(&mut self, frame: Frame, mark: &Mark) {
        let mark = message(mark);
        let frame = match frame {
            Frame::CaughtUp => subscribe_frame::Frame::CaughtUp(mark),
            Frame::FellBehind => subscribe_frame::Frame::FellBehind(mark),
            _ => subscribe_frame::Frame::Checkpoint(mark),
        };
        answer::write(&mut self.messages, &v1::SubscribeFrame { frame: Some(frame) });
    }

    fn heartbeat(&mut self, mark: &Mark) {
        let frame = Some(subscribe_frame::Frame::Heartbeat(message(mark)));
        answer::write(&mut self.messages, &v1::SubscribeFrame { frame });
    }

    fn problem(&mut self, problem: Problem) {
        self.problem = Some(problem);
    }
}

fn message(mark: &Mark) -> v1::Mark {
    v1::Mark { position: mark.position.get(), head: mark.head.get(), token: mark.token.to_string() }
}
