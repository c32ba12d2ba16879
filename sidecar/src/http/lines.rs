use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode, header};
use polylog_api::{Framing, headers};
use polylog_log::RecordedEvent;
use polylog_replication::{LogReader, Served};

use super::{
    errors, read,
    respond::{Answer, Refused},
    room::Place,
    scan::{Page, Scan, Target},
    view::View,
};

/// Bytes of lines that are handed on at once.
const CHUNK: usize = 128 << 10;
/// Events of one page of the store.
const PAGE: usize = 1_000;

/// Streams everything from where the scan stands: one event a line. A reader that does not read stops the scan, for a
/// page is fetched only when the one before was taken.
pub(super) async fn answer(
    view: View,
    mut scan: Scan,
    limit: Option<u64>,
    first: Page,
    place: Place,
) -> Answer {
    let served = first.served.clone();
    let pages = match scan.target {
        // read one page ahead
        Target::Log if !scan.backward => {
            let reader = view.hosted().store.read_all(&scan.log_query(PAGE), &scan.options).await;
            Pages::Ahead(reader.map_err(errors::of_read)?)
        }
        _ => {
            scan.go_on(first.next_from);
            Pages::Scan { scan, is_over: first.at_end }
        }
    };
    let waiting = if matches!(pages, Pages::Ahead(_)) { Vec::new() } else { first.events };
    let lines = Lines { view, pages, waiting: waiting.into_iter(), left: limit, _place: place };
    Ok(response(lines, &served))
}

fn response(lines: Lines, served: &Served) -> Response {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::OK;
    let (parts, ()) = head.into_parts();
    let mut stamped = Response::from_parts(parts, Body::empty());
    read::stamp(&mut stamped, &lines.view, served);
    stamped.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(headers::NDJSON));
    *stamped.body_mut() = Body::from_stream(stream::try_unfold(lines, Lines::next));
    stamped
}

enum Pages {
    Ahead(LogReader),
    Scan { scan: Scan, is_over: bool },
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
            let page = if self.left == Some(0) { None } else { self.page().await.map_err(cut_off)? };
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

    async fn page(&mut self) -> Result<Option<Vec<RecordedEvent>>, Refused> {
        self.view.refresh()?;
        match &mut self.pages {
            Pages::Ahead(reader) => Ok(reader.next().await.map_err(errors::of_read)?),
            Pages::Scan { is_over: true, .. } => Ok(None),
            Pages::Scan { scan, is_over } => {
                let page = scan.page(&self.view.hosted().store, PAGE).await?;
                scan.go_on(page.next_from);
                *is_over = page.at_end;
                Ok(Some(page.events))
            }
        }
    }
}

fn cut_off(refused: Refused) -> std::io::Error {
    tracing::warn!(problem = %refused.problem, "a streamed read was cut off");
    std::io::Error::other(refused.problem.to_string())
}
