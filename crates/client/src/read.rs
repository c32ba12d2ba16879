use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use polylog_api::{Problem, ReadPage, headers};
use polylog_log::{Position, StreamName, Version};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};

use crate::{
    Client, ClientError, EventLine, ReadOptions,
    backoff::Backoff,
    client::{Call, JSON},
    lines::Splitter,
};

/// How often an answer may break without a single event before a read gives up.
const MOST_EMPTY_CUTS: u32 = 5;

impl Client {
    /// One page of a stream.
    pub async fn read_stream(
        &self,
        stream: &StreamName,
        options: &ReadOptions<Version>,
    ) -> Result<ReadPage<Version>, ClientError> {
        self.page(&["streams", stream.as_str()], &options.query()).await
    }

    /// One page of the log.
    pub async fn read_log(&self, options: &ReadOptions<Position>) -> Result<ReadPage<Position>, ClientError> {
        self.page(&["events"], &options.query()).await
    }

    async fn page<T: DeserializeOwned>(&self, parts: &[&str], query: &str) -> Result<T, ClientError> {
        let call = Call::get(self.address.in_store(parts, query), JSON);
        self.call(&call, self.timing.deadline).await
    }

    /// All events of a stream, or as many as the limit says, without pages.
    pub fn stream_lines(&self, stream: &StreamName, options: ReadOptions<Version>) -> Lines {
        Lines::new(self.clone(), Some(stream.clone()), plain(options))
    }

    /// All events of the log, or as many as the limit says, without pages.
    pub fn log_lines(&self, options: ReadOptions<Position>) -> Lines {
        Lines::new(self.clone(), None, plain(options))
    }
}

fn plain<N: Into<u64>>(options: ReadOptions<N>) -> ReadOptions<u64> {
    let ReadOptions { from, backward, limit, filter, consistency, token } = options;
    ReadOptions { from: from.map(Into::into), backward, limit, filter, consistency, token }
}

/// Events one by one, as long as there are any. Goes on by itself where a connection was cut off.
#[derive(Debug)]
pub struct Lines {
    client: Client,
    stream: Option<StreamName>,
    options: ReadOptions<u64>,
    body: Option<Incoming>,
    splitter: Splitter,
    last: Option<EventLine>,
    empty_cuts: u32,
    backoff: Backoff,
    is_done: bool,
}

/// The fields of an event by which a read goes on.
#[derive(Deserialize)]
struct Place {
    position: u64,
    version: u64,
}

impl Lines {
    fn new(client: Client, stream: Option<StreamName>, options: ReadOptions<u64>) -> Self {
        let (body, last, splitter) = (None, None, Splitter::default());
        let backoff = Backoff::default();
        Self { client, stream, options, body, splitter, last, empty_cuts: 0, backoff, is_done: false }
    }

    /// The next event; `None` when there is no more. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<EventLine, ClientError>> {
        if self.is_done || self.options.limit == Some(0) {
            return None;
        }
        let next = self.find_next().await.transpose();
        self.is_done = !matches!(next, Some(Ok(_)));
        next
    }

    async fn find_next(&mut self) -> Result<Option<EventLine>, ClientError> {
        loop {
            while let Some(line) = self.splitter.line() {
                match refusal(&line) {
                    Some(problem) if problem.retry => self.cut(&problem.to_string())?,
                    Some(problem) => return Err(ClientError::Refused(problem)),
                    None if line.is_empty() => {}
                    None => return Ok(Some(self.take(EventLine::new(line)))),
                }
            }
            if self.body.is_none() && !self.resume().await? {
                return Ok(None);
            }
            let Some(body) = &mut self.body else { continue };
            match timeout(self.client.timing.silence, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let piece = frame.into_data().unwrap_or_default();
                    self.splitter.push(&piece).map_err(|error| self.unintelligible(&error.to_string()))?;
                }
                Ok(None) if !self.splitter.is_within_line() => return Ok(None),
                Ok(None) => self.cut("the answer ended within an event")?,
                Ok(Some(Err(error))) => self.cut(&error.to_string())?,
                Err(_) => self.cut("nothing came for a long time")?,
            }
        }
    }

    fn take(&mut self, line: EventLine) -> EventLine {
        self.options.limit = self.options.limit.map(|limit| limit - 1);
        self.empty_cuts = 0;
        self.backoff.reset();
        self.last = Some(line.clone());
        line
    }

    /// Notes that the answer broke; an error after too many in a row.
    fn cut(&mut self, reason: &str) -> Result<(), ClientError> {
        (self.body, self.splitter) = (None, Splitter::default());
        self.empty_cuts += 1;
        if self.empty_cuts > MOST_EMPTY_CUTS { Err(ClientError::Cut(reason.to_owned())) } else { Ok(()) }
    }

    /// Asks for what comes after the last event; false where nothing can.
    async fn resume(&mut self) -> Result<bool, ClientError> {
        if self.empty_cuts > 0 {
            sleep(self.backoff.next(rand::random())).await;
        }
        if let Some(last) = &self.last {
            let place: Place = serde_json::from_slice(last.as_bytes())
                .map_err(|error| self.unintelligible(&error.to_string()))?;
            let at = if self.stream.is_some() { place.version } else { place.position };
            if self.options.backward && at <= 1 {
                return Ok(false);
            }
            self.options.from = Some(if self.options.backward { at - 1 } else { at + 1 });
        }
        let parts = match &self.stream {
            Some(stream) => vec!["streams", stream.as_str()],
            None => vec!["events"],
        };
        let url = self.client.address.in_store(&parts, &self.options.query());
        let call = Call::get(url, headers::NDJSON);
        let answer: Response<Incoming> = self.client.open(&call, self.client.timing.deadline).await?;
        self.body = Some(answer.into_body());
        Ok(true)
    }

    fn unintelligible(&self, reason: &str) -> ClientError {
        let address = self.client.address.to_string();
        ClientError::Unintelligible { address, reason: reason.to_owned() }
    }
}

/// A problem that ends an answer whose status was sent long before.
fn refusal(line: &[u8]) -> Option<Box<Problem>> {
    if line.starts_with(b"{\"position\":") {
        return None;
    }
    serde_json::from_slice(line).ok().map(Box::new)
}
