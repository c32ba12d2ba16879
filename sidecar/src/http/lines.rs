use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode, header};
use polylog_api::{Framing, Problem, headers};
use polylog_log::RecordedEvent;

use super::{read, respond::Answer, room::Place};
use crate::operations::{Page, Pages, Scan, View};

/// Bytes of lines that are handed on at once.
const CHUNK: usize = 128 << 10;

/// Streams everything from where the scan stands: one event a line. A reader that does not read stops the scan.
pub(super) async fn answer(view: View, scan: Scan, limit: Option<u64>, first: Page, place: Place) -> Answer {
    let is_long = limit.is_none_or(|limit| limit > first.events.len() as u64);
    let pages = Pages::after(&view, scan, first, is_long).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    read::stamp(&mut response, &view, pages.served());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(headers::NDJSON));
    let lines = Lines { view, pages, waiting: Vec::new().into_iter(), left: limit, _place: place };
    *response.body_mut() = Body::from_stream(stream::try_unfold(lines, Lines::next));
    Ok(response)
}

struct Lines {
    view: View,
    pages: Pages,
    waiting: std::vec::IntoIter<RecordedEvent>,
    left: Option<u64>,
    _place: Place,
}

impl Lines {
    /// The next chunk. An error cuts the body off, so that the reader notices that lines are missing.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, std::io::Error> {
        let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 4);
        loop {
            while let Some(recorded) = self.waiting.next() {
                if self.left == Some(0) {
                    break;
                }
                if self.view.write(&mut chunk, &recorded, Framing::Line) {
                    chunk.push(b'\n');
                    self.left = self.left.map(|left| left - 1);
                }
                if chunk.len() >= CHUNK {
                    return Ok(Some((chunk.into(), self)));
                }
            }
            let page = match self.left {
                Some(0) => None,
                _ => self.pages.next(&mut self.view).await.map_err(cut_off)?,
            };
            match page {
                Some(events) => self.waiting = events.into_iter(),
                None if chunk.is_empty() => return Ok(None),
                None => {
                    self.left = Some(0);
                    return Ok(Some((chunk.into(), self)));
                }
            }
        }
    }
}

fn cut_off(problem: Problem) -> std::io::Error {
    tracing::warn!(event = "read_cut_off", %problem, "a streamed read was cut off");
    std::io::Error::other(problem.to_string())
}
