use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use polylog_api::{Code, Problem, RequestError};
use prost::Message;
use tokio::time::Instant;

use crate::{
    http::{Place, body},
    identity::Peer,
    operations::{Call, LONGEST},
    server::Server,
};

/// Bytes of a message's prefix: a flag for compression, and the length.
const PREFIX: usize = 5;
/// Bytes of a message that holds nothing to be stored. Decoded, a list of empty texts takes twelve times its bytes.
const SMALL: usize = 64 << 10;
/// How long a caller waits.
const TIMEOUT: &str = "grpc-timeout";

/// A call whose messages are yet to be read.
pub(super) struct Incoming {
    pub(super) server: Arc<Server>,
    pub(super) peer: Arc<Peer>,
    pub(super) headers: HeaderMap,
    body: Body,
    waiting: Waiting,
    arrived: Instant,
}

/// What has arrived and was not taken.
#[derive(Default)]
struct Waiting(BytesMut, Option<Bytes>);

/// A message, and its place among the bytes in memory.
pub(super) struct Received<M> {
    pub(super) message: M,
    pub(super) place: Place,
}

impl Incoming {
    pub(super) fn new(server: Arc<Server>, peer: Arc<Peer>, headers: HeaderMap, body: Body) -> Self {
        Self { server, peer, headers, body, waiting: Waiting::default(), arrived: Instant::now() }
    }

    /// The only message of the call, which is a small one.
    pub(super) async fn only<M: Message + Default>(&mut self) -> Result<Received<M>, Problem> {
        self.only_checked(SMALL.min(self.server.largest_message()), |_| Ok(())).await
    }

    /// The only message of the call, which holds what is to be stored.
    pub(super) async fn only_large<M: Message + Default>(
        &mut self,
        check: impl Fn(&[u8]) -> Result<(), RequestError>,
    ) -> Result<Received<M>, Problem> {
        self.only_checked(self.server.largest_message(), check).await
    }

    /// The first message as it stands, which still counts as waiting; `None` = there is none.
    pub(super) async fn peek(&mut self, largest: usize) -> Result<Option<(Bytes, Place)>, Problem> {
        let deadline = self.deadline()?;
        tokio::time::timeout_at(deadline, self.arrive(largest))
            .await
            .unwrap_or_else(|_| Err(malformed("the message did not arrive in time")))
            .map(|arrived| {
                arrived.map(|(length, place)| (self.waiting.copy(PREFIX + length).slice(PREFIX..), place))
            })
    }

    /// Takes the message that was looked at, and refuses a call that has another one.
    pub(super) async fn end_after(&mut self, message: &Bytes) -> Result<(), Problem> {
        drop(self.waiting.take(PREFIX + message.len()));
        let deadline = self.deadline()?;
        match tokio::time::timeout_at(deadline, self.more()).await {
            Ok(Ok(false)) => Ok(()),
            Ok(Ok(true)) => Err(malformed("the call has one message, this one has more")),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Err(malformed("the message did not arrive in time")),
        }
    }

    async fn only_checked<M: Message + Default>(
        &mut self,
        largest: usize,
        check: impl Fn(&[u8]) -> Result<(), RequestError>,
    ) -> Result<Received<M>, Problem> {
        let deadline = self.deadline()?;
        let read = async {
            let received = self
                .next_checked(largest, check)
                .await?
                .ok_or_else(|| malformed("the message is missing"))?;
            if self.more().await? {
                return Err(malformed("the call has one message, this one has more"));
            }
            Ok(received)
        };
        tokio::time::timeout_at(deadline, read)
            .await
            .unwrap_or_else(|_| Err(malformed("the message did not arrive in time")))
    }

    /// The next message; `None` after the last.
    pub(super) async fn next<M: Message + Default>(
        &mut self,
        largest: usize,
    ) -> Result<Option<Received<M>>, Problem> {
        self.next_checked(largest, |_| Ok(())).await
    }

    /// As [`Incoming::next`]; `check` sees the message before it is decoded.
    async fn next_checked<M: Message + Default>(
        &mut self,
        largest: usize,
        check: impl Fn(&[u8]) -> Result<(), RequestError>,
    ) -> Result<Option<Received<M>>, Problem> {
        let Some((length, place)) = self.arrive(largest).await? else { return Ok(None) };
        let bytes = self.waiting.take(PREFIX + length).slice(PREFIX..);
        check(&bytes)?;
        let message = M::decode(bytes).map_err(|error| malformed(&error.to_string()))?;
        Ok(Some(Received { message, place }))
    }

    /// Waits for a whole message: its length, and a place for it.
    async fn arrive(&mut self, largest: usize) -> Result<Option<(usize, Place)>, Problem> {
        while self.waiting.len() < PREFIX {
            if !self.receive(PREFIX).await? {
                return match self.waiting.len() {
                    0 => Ok(None),
                    _ => Err(malformed("it ends within the prefix of a message")),
                };
            }
        }
        let (flag, length) = self.waiting.prefix();
        if flag != 0 {
            return Err(Problem::new(Code::NotSupported, "compressed messages are not supported")
                .next_step("send messages without compression"));
        }
        if length > largest {
            return Err(body::too_large(largest));
        }
        let place = self.server.room().body(length)?;
        while self.waiting.len() < PREFIX + length {
            if !self.receive(PREFIX + length).await? {
                return Err(malformed("it ends within a message"));
            }
        }
        Ok(Some((length, place)))
    }

    /// Whether anything comes after what was taken.
    async fn more(&mut self) -> Result<bool, Problem> {
        while self.waiting.len() == 0 {
            if axum::body::HttpBody::is_end_stream(&self.body) || !self.receive(0).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits for more; false at the end.
    async fn receive(&mut self, wanted: usize) -> Result<bool, Problem> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        let frame = frame.map_err(|error| {
            Problem::new(Code::InvalidRequest, format_args!("the call broke off: {error}"))
                .next_step("call again")
        })?;
        if let Ok(data) = frame.into_data() {
            self.waiting.add(data, wanted);
        }
        Ok(true)
    }

    /// Until when the caller waits, as far as it says, at most as long as anybody may.
    pub(super) fn deadline(&self) -> Result<Instant, Problem> {
        let Some(value) = self.headers.get(TIMEOUT) else { return Ok(self.arrived + LONGEST) };
        let parsed = value.to_str().ok().and_then(parse_timeout);
        parsed.map(|timeout| self.arrived + timeout.min(LONGEST)).ok_or_else(|| {
            Problem::new(Code::InvalidRequest, format_args!("{TIMEOUT}: it must be like 500m or 2S"))
                .next_step("correct the deadline or leave it out")
                .fact("header", TIMEOUT)
        })
    }

    /// The call as operations know it; an empty name is that of the default store.
    pub(super) fn call(&self, store: &str) -> Result<Call, Problem> {
        let store = (!store.is_empty()).then_some(store);
        Call::new(self.server.clone(), self.peer.clone(), store, &self.headers, self.deadline()?)
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.0.len() + self.1.as_ref().map_or(0, Bytes::len)
    }

    /// Keeps what arrived. As long as it is one piece it is not copied.
    fn add(&mut self, data: Bytes, wanted: usize) {
        if self.len() == 0 {
            self.1 = Some(data);
            return;
        }
        if let Some(first) = self.1.take() {
            self.0.reserve(wanted.max(first.len() + data.len()));
            self.0.extend_from_slice(&first);
        }
        self.0.extend_from_slice(&data);
    }

    /// Flag and length of the next message, whose prefix has arrived.
    fn prefix(&self) -> (u8, usize) {
        let mut prefix = self.1.as_deref().unwrap_or(&self.0);
        (prefix.get_u8(), prefix.get_u32() as usize)
    }

    fn copy(&self, length: usize) -> Bytes {
        match &self.1 {
            Some(only) => only.slice(..length),
            None => Bytes::copy_from_slice(&self.0[..length]),
        }
    }

    fn take(&mut self, length: usize) -> Bytes {
        match &mut self.1 {
            Some(only) => only.split_to(length),
            None => self.0.split_to(length).freeze(),
        }
    }
}

fn malformed(reason: &str) -> Problem {
    Problem::new(Code::InvalidRequest, format_args!("the call is malformed: {reason}"))
        .next_step("correct the message and call again")
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol: up to eight digits and a letter.
fn parse_timeout(text: &str) -> Option<Duration> {
    let unit = text.len().checked_sub(1).filter(|digits| (1..=8).contains(digits) && text.is_ascii())?;
    let (digits, unit) = text.split_at(unit);
    let number: u64 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_has_them() {
        for (text, timeout) in [
            ("1H", Duration::from_secs(3_600)),
            ("2M", Duration::from_secs(120)),
            ("30S", Duration::from_secs(30)),
            ("500m", Duration::from_millis(500)),
            ("7u", Duration::from_micros(7)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("0m", Duration::ZERO),
        ] {
            assert_eq!(parse_timeout(text), Some(timeout), "{text}");
        }
        for bad in ["", "m", "1", "1s", "-1m", "+1m", "123456789m", "1 m", "é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn messages_are_put_together_from_whatever_arrives() {
        for cut in 0..9 {
            let sent = b"\0\0\0\0\x02ab\0\0";
            let mut waiting = Waiting::default();
            for piece in [&sent[..cut], &sent[cut..]] {
                if !piece.is_empty() {
                    waiting.add(Bytes::copy_from_slice(piece), 7);
                }
            }
            assert_eq!((waiting.len(), waiting.prefix()), (9, (0, 2)), "{cut}");
            assert_eq!(&waiting.take(7)[PREFIX..], b"ab", "{cut}");
            assert_eq!(waiting.len(), 2, "{cut}");
            waiting.add(Bytes::from_static(b"\0\0\x03"), 5);
            assert_eq!(waiting.prefix(), (0, 3), "{cut}");
        }
    }
}
