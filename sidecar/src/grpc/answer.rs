use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use polylog_api::{Problem, grpc::status_details};
use prost::Message;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Which encodings of messages are read: a client that sent another one is to know.
const ACCEPTED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static("identity"));
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// What stands in the header of a status message as it is: visible ASCII and spaces, without `%`.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');
/// Longest status message, in bytes; the details have it too.
const LONGEST_MESSAGE: usize = 512;

/// Messages of an answer that has many.
pub(super) trait Messages: Send + 'static {
    /// The next messages, each with its prefix; `None` after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Problem>> + Send;
}

/// An answer with one message.
pub(super) fn one(message: &impl Message) -> Response {
    let mut framed = Vec::new();
    write(&mut framed, message);
    whole(framed)
}

/// An answer that is complete: one message with its prefix.
pub(super) fn whole(framed: Vec<u8>) -> Response {
    respond(Body::new(Whole { data: Some(framed.into()), has_ended: false }))
}

/// An answer with many messages. When they fail, the status says it.
pub(super) fn many(messages: impl Messages) -> Response {
    let frames = stream::unfold(Some(messages), |state| async {
        let mut messages = state?;
        let frame = match messages.next().await {
            Ok(Some(chunk)) => return Some((Ok::<_, Infallible>(Frame::data(chunk)), Some(messages))),
            Ok(None) => Frame::trailers(succeeded()),
            Err(problem) => {
                tracing::debug!(%problem, "a stream ended");
                Frame::trailers(failed(&problem))
            }
        };
        Some((Ok(frame), None))
    });
    respond(Body::new(StreamBody::new(frames)))
}

/// An answer without a message.
pub(super) fn failure(problem: &Problem) -> Response {
    let mut response = respond(Body::empty());
    response.headers_mut().extend(failed(problem));
    response
}

/// Appends a message with its prefix.
pub(super) fn write(out: &mut Vec<u8>, message: &impl Message) {
    let length = message.encoded_len();
    out.reserve(length + 5);
    out.push(0);
    let prefix = u32::try_from(length).expect("messages are smaller than 4 GiB by their limits");
    out.extend_from_slice(&prefix.to_be_bytes());
    message.encode_raw(out);
}

fn respond(body: Body) -> Response {
    let mut response = Response::new(body);
    let (accepted, identity) = ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    headers.insert(accepted, identity);
    response
}

fn succeeded() -> HeaderMap {
    HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))])
}

/// Trailers that say why there is no (further) answer.
pub(super) fn failed(problem: &Problem) -> HeaderMap {
    let shown = &problem.detail[..problem.detail.floor_char_boundary(LONGEST_MESSAGE)];
    let message = utf8_percent_encode(shown, ENCODED).to_string();
    let details = STANDARD_NO_PAD.encode(status_details(problem));
    let value = |text: String| HeaderValue::try_from(text).expect("encoded texts are visible ASCII");
    HeaderMap::from_iter([
        (STATUS, HeaderValue::from(problem.code.grpc() as i32)),
        (MESSAGE, value(message)),
        (DETAILS, value(details)),
    ])
}

/// The body of an answer with one message: the message, then the status.
struct Whole {
    data: Option<Bytes>,
    has_ended: bool,
}

impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.has_ended {
            return Poll::Ready(None);
        }
        self.has_ended = true;
        Poll::Ready(Some(Ok(Frame::trailers(succeeded()))))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}
