//! Bodies of answers on their way back.

use std::{sync::Arc, time::SystemTime};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::HeaderMap;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use polylog_api::{Code, Problem};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::Forward;
use crate::{drain::Drain, http::Place, operations::errors};

/// How an answer that does not come to its end is ended.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// By breaking off, so that its reader notices.
    Cut,
    /// Server-sent events: with a last one that says why, where those before are whole.
    ServerSent(fn(&Problem) -> Bytes),
    /// Messages of gRPC: with trailers that say why.
    Messages(fn(&Problem) -> HeaderMap),
}

/// Where in its parts a body stands.
#[derive(Debug, Default)]
struct Parts {
    /// Of a message of gRPC, as far as it has come.
    prefix: Vec<u8>,
    /// Bytes of that message that are still to come.
    left: usize,
    /// An event has begun.
    is_within: bool,
}

impl Parts {
    fn take(&mut self, ending: Ending, mut data: &[u8]) {
        match ending {
            Ending::Cut => {}
            Ending::ServerSent(_) => self.is_within = !data.ends_with(b"\n\n"),
            Ending::Messages(_) => {
                while !data.is_empty() {
                    if self.left > 0 {
                        let taken = self.left.min(data.len());
                        self.left -= taken;
                        data = &data[taken..];
                        continue;
                    }
                    self.prefix.push(data[0]);
                    data = &data[1..];
                    if let [_, a, b, c, d] = self.prefix[..] {
                        self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                        self.prefix.clear();
                    }
                }
            }
        }
    }

    /// Whether what was handed on ends with a whole part.
    fn is_whole(&self) -> bool {
        !self.is_within && self.left == 0 && self.prefix.is_empty()
    }
}

/// What an answer takes until it has ended.
pub(crate) type Places = Option<(Place, OwnedSemaphorePermit)>;

struct Coming {
    forward: Arc<Forward>,
    body: Incoming,
    ending: Ending,
    /// Streams without an end are ended when the process is, and when their token is.
    until: Option<(Drain, Option<Instant>)>,
    parts: Parts,
    _places: Places,
}

/// The answer's body. `until`, for streams without an end: the process's end, and that of the token that they were begun
/// with.
pub(crate) fn body(
    forward: Arc<Forward>,
    body: Incoming,
    ending: Ending,
    until: Option<(Drain, Option<SystemTime>)>,
    places: Places,
) -> Body {
    let until = until.map(|(drain, ends)| {
        let left = ends.map(|ends| ends.duration_since(SystemTime::now()).unwrap_or_default());
        (drain, left.map(|left| Instant::now() + left))
    });
    let coming = Coming { forward, body, ending, until, parts: Parts::default(), _places: places };
    Body::new(StreamBody::new(stream::unfold(Some(coming), |coming| async move {
        let mut coming = coming?;
        let next = coming.next().await?;
        let goes_on = matches!(&next, Ok((_, true)));
        Some((next.map(|(frame, _)| frame), goes_on.then_some(coming)))
    })))
}

impl Coming {
    /// The next frame and whether others follow.
    async fn next(&mut self) -> Option<Result<(Frame<Bytes>, bool), std::io::Error>> {
        let ended = async {
            match &self.until {
                // what has begun is handed on whole
                Some((drain, ends)) if self.parts.is_whole() => tokio::select! {
                    () = drain.begun() => errors::draining(),
                    () = at(*ends) => renewed(),
                },
                _ => std::future::pending().await,
            }
        };
        let (problem, is_whole) = tokio::select! {
            biased;
            problem = ended => (problem, true),
            frame = self.body.frame() => match frame? {
                Ok(frame) => {
                    if let Some(data) = frame.data_ref() {
                        self.parts.take(self.ending, data);
                    }
                    return Some(Ok((frame, true)));
                }
                Err(error) => (self.forward.unreachable(&error.to_string()), self.parts.is_whole()),
            },
        };
        tracing::debug!(store = self.forward.name, %problem, "an answer of a gateway does not come to its end");
        Some(match self.ending {
            Ending::ServerSent(write) if is_whole => Ok((Frame::data(write(&problem)), false)),
            Ending::Messages(write) => Ok((Frame::trailers(write(&problem)), false)),
            Ending::ServerSent(_) | Ending::Cut => Err(std::io::Error::other(problem.to_string())),
        })
    }
}

async fn at(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The next try brings the next token.
fn renewed() -> Problem {
    Problem::new(Code::Draining, "the token with which this was begun at the gateway has ended")
        .next_step("connect again; a subscription goes on from its last id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_where_a_part_ends_however_the_bytes_are_cut() {
        let messages = b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x01x";
        let ending = Ending::Messages(|_| HeaderMap::new());
        for cut in 0..messages.len() {
            let mut parts = Parts::default();
            parts.take(ending, &messages[..cut]);
            assert_eq!(parts.is_whole(), [0, 8, 13].contains(&cut), "{cut}");
            parts.take(ending, &messages[cut..]);
            assert!(parts.is_whole(), "{cut}");
        }
        let ending = Ending::ServerSent(|_| Bytes::new());
        let mut parts = Parts::default();
        parts.take(ending, b"data: a\n\nda");
        assert!(!parts.is_whole());
        parts.take(ending, b"ta: b\n\n");
        assert!(parts.is_whole());
    }
}
