use axum::response::Response;
use bytes::Bytes;
use polylog_api::{Problem, grpc::write_event_frame, proto::polylog::v1};
use polylog_log::RecordedEvent;

use super::{
    answer::{self, Messages},
    fields::{self, number},
    message::Incoming,
};
use crate::{
    http::Place,
    operations::{Call, Page, Pages, Scan, Target, View, check_stream, readable_name},
    policy::Verb,
};

/// Bytes of messages that are handed on at once.
const CHUNK: usize = 128 << 10;
/// Events of the first page.
const FIRST_PAGE: u32 = 500;
/// The field of a `ReadFrame` that holds an event.
const EVENT: u32 = 2;

/// `ReadLog`
pub(super) async fn log(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<v1::ReadLogRequest>().await?.message;
    let call = incoming.call(&request.store)?;
    fields::lane(request.lane)?;
    let (filter, include_system) = fields::filter(request.filter)?;
    let scan = Scan {
        target: filter.only_category().map_or(Target::Log, Target::Category),
        from: from(request.from)?,
        backward: request.backward,
        include_system,
        options: fields::read_options(&call, request.options)?,
    };
    let view = call.view(Verb::Read, filter)?;
    let first = scan.page(&call.hosted.store, first_limit(request.limit)).await?;
    stream_out(&call, view, scan, first, request.limit).await
}

/// `ReadStream`
pub(super) async fn stream(mut incoming: Incoming) -> Result<Response, Problem> {
    let request = incoming.only::<v1::ReadStreamRequest>().await?.message;
    let call = incoming.call(&request.store)?;
    let (filter, _) = fields::filter(request.filter)?;
    let stream = readable_name(&request.stream)?;
    let scan = Scan {
        target: Target::Stream(stream.clone()),
        from: from(request.from)?,
        backward: request.backward,
        include_system: true,
        options: fields::read_options(&call, request.options)?,
    };
    let view = call.view(Verb::Read, filter)?;
    let first = scan.page(&call.hosted.store, first_limit(request.limit)).await?;
    check_stream(&call, &view, &stream, first.stream.as_ref().map(|head| &head.category))?;
    stream_out(&call, view, scan, first, request.limit).await
}

/// Zero = the beginning, or the end when backward.
fn from(given: u64) -> Result<Option<u64>, Problem> {
    Ok(Some(number("from", given)?).filter(|from| *from > 0))
}

fn first_limit(limit: u32) -> usize {
    (if limit == 0 { FIRST_PAGE } else { limit.min(FIRST_PAGE) }) as usize
}

async fn stream_out(
    call: &Call,
    view: View,
    scan: Scan,
    first: Page,
    limit: u32,
) -> Result<Response, Problem> {
    let place = call.server.room().stream()?;
    let left = (limit > 0).then_some(limit);
    let is_long = left.is_none_or(|left| left as usize > first.events.len());
    let pages = Pages::after(&view, scan, first, is_long).await?;
    let mut begun = Vec::with_capacity(4 << 10);
    let served = v1::read_frame::Frame::Served(fields::served(&call.hosted, pages.served()));
    answer::write(&mut begun, &v1::ReadFrame { frame: Some(served) });
    let waiting = Vec::new().into_iter();
    let reading = Reading { view, pages, waiting, left, begun, end: None, _place: place };
    Ok(answer::many(reading))
}

struct Reading {
    view: View,
    pages: Pages,
    waiting: std::vec::IntoIter<RecordedEvent>,
    left: Option<u32>,
    /// Written already, and not yet handed on.
    begun: Vec<u8>,
    end: Option<Result<(), Problem>>,
    _place: Place,
}

impl Messages for Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let mut chunk = std::mem::take(&mut self.begun);
        while self.end.is_none() && chunk.len() < CHUNK {
            self.write_waiting(&mut chunk);
            if self.waiting.len() > 0 || self.end.is_some() {
                continue;
            }
            match self.pages.next(&mut self.view).await {
                Ok(Some(events)) => self.waiting = events.into_iter(),
                Ok(None) => self.finish(&mut chunk, self.pages.next_from(), true),
                Err(problem) => self.end = Some(Err(problem)),
            }
        }
        match self.end.take() {
            end if !chunk.is_empty() => {
                self.end = end;
                Ok(Some(chunk.into()))
            }
            Some(Err(problem)) => Err(problem),
            _ => Ok(None),
        }
    }
}

impl Reading {
    /// Writes events until the chunk is full, the page is at its end, or enough matched.
    fn write_waiting(&mut self, chunk: &mut Vec<u8>) {
        while chunk.len() < CHUNK {
            let Some(recorded) = self.waiting.next() else { return };
            let Some((event, state)) = self.view.show(&recorded) else { continue };
            write_event_frame(chunk, EVENT, &event, state);
            self.left = self.left.map(|left| left - 1);
            if self.left == Some(0) {
                let is_all = self.waiting.len() == 0;
                let next_from =
                    if is_all { self.pages.next_from() } else { self.pages.after_event(&recorded) };
                return self.finish(chunk, next_from, is_all && self.pages.is_at_end());
            }
        }
    }

    fn finish(&mut self, chunk: &mut Vec<u8>, next_from: u64, at_end: bool) {
        let end = v1::read_frame::Frame::End(v1::ReadEnd { next_from, at_end });
        answer::write(chunk, &v1::ReadFrame { frame: Some(end) });
        self.end = Some(Ok(()));
    }
}
