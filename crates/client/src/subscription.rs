use std::time::Duration;

use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use polylog_api::{Frame, Mark, Problem, Token, headers};
use polylog_log::{Position, Timestamp};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    Client, ClientError, EventLine, Filter,
    backoff::Backoff,
    client::Call,
    query::{Query, number},
    sse::{Parser, RawFrame},
};

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event.
    Beginning,
    /// With what is appended from now on.
    Now,
    /// After this position.
    After(Position),
    /// After what this token has seen.
    Token(Token),
    /// With the first event recorded at or after this time.
    At(Timestamp),
}

/// What a subscription follows.
#[derive(Debug, Clone)]
pub struct SubscribeOptions {
    /// Where it begins.
    pub start: Start,
    /// Which events; `since` and `until` are not for subscriptions.
    pub filter: Filter,
    /// How long to try to connect again after a cut; absent: for ever.
    pub give_up_after: Option<Duration>,
}

/// What a subscription receives.
#[derive(Debug)]
pub enum Received {
    /// An event, with the token to go on after it from another process.
    Event(EventLine, Option<Token>),
    /// Everything there was has been received; what follows is new.
    CaughtUp(Mark),
    /// This reader is too slow to follow live; nothing is lost.
    FellBehind(Mark),
    /// Everything up to here was looked at, though nothing matched.
    Checkpoint(Mark),
    /// The connection was lost, or could not be made again; it is tried again, nothing is lost. For the curious.
    Interrupted(String),
}

/// Events as they are recorded, each once and in order, across lost connections.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    query: String,
    start_id: Option<String>,
    give_up_after: Option<Duration>,
    parser: Parser,
    body: Option<Incoming>,
    backoff: Backoff,
    lost_at: Option<Instant>,
    try_at: Option<Instant>,
    is_done: bool,
}

impl Client {
    /// Follows the log. Fails if the first connection does.
    pub async fn subscribe(&self, options: SubscribeOptions) -> Result<Subscription, ClientError> {
        let start_id = match options.start {
            Start::Token(token) => Some(token.to_string()),
            _ => None,
        };
        let query = match options.start {
            Start::Beginning | Start::Token(_) => Query::new().add("from", Some("beginning".into())),
            Start::Now => Query::new().add("from", Some("now".into())),
            Start::After(position) => Query::new().add("after", Some(number(position))),
            Start::At(time) => Query::new().add("since", Some(time.to_string())),
        };
        let filter = Filter { since: None, until: None, ..options.filter };
        let mut subscription = Subscription {
            client: self.clone(),
            query: query.filter(&filter).finish(),
            start_id,
            give_up_after: options.give_up_after,
            parser: Parser::default(),
            body: None,
            backoff: Backoff::default(),
            lost_at: None,
            try_at: None,
            is_done: false,
        };
        subscription.connect(self.timing.deadline).await?;
        Ok(subscription)
    }
}

impl Subscription {
    /// What comes next; `None` when the server has nothing more to say. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Received, ClientError>> {
        if self.is_done {
            return None;
        }
        let next = self.find_next().await.transpose();
        self.is_done = !matches!(next, Some(Ok(_)));
        next
    }

    async fn find_next(&mut self) -> Result<Option<Received>, ClientError> {
        loop {
            while let Some(frame) = self.parser.frame() {
                match self.read(frame)? {
                    Read::Received(received) => return Ok(Some(received)),
                    Read::End => return Ok(None),
                    Read::Nothing => {}
                }
            }
            if self.body.is_none() {
                match self.reconnect().await? {
                    Read::Received(received) => return Ok(Some(received)),
                    Read::End => return Ok(None),
                    Read::Nothing => {}
                }
            }
            let Some(body) = &mut self.body else { continue };
            let lost = match timeout(self.client.timing.silence, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let piece = frame.into_data().unwrap_or_default();
                    match self.parser.push(&piece) {
                        true => continue,
                        false => return Err(self.unintelligible("a frame without end")),
                    }
                }
                Ok(Some(Err(error))) => error.to_string(),
                Ok(None) => "the server closed the connection".to_owned(),
                Err(_) => format!("nothing came for {:?}", self.client.timing.silence),
            };
            return Ok(Some(self.interrupt(lost, Duration::ZERO)));
        }
    }

    /// What a frame says. Any but an error shows that the connection works.
    fn read(&mut self, frame: RawFrame) -> Result<Read, ClientError> {
        if Frame::parse(&frame.event) != Some(Frame::Error) {
            self.backoff.reset();
            self.lost_at = None;
        }
        let mark = || {
            serde_json::from_slice::<Mark>(&frame.data)
                .map_err(|error| self.unintelligible(&error.to_string()))
        };
        Ok(Read::Received(match Frame::parse(&frame.event) {
            Some(Frame::Event) => {
                let token = frame.id.as_deref().and_then(|id| id.parse().ok());
                Received::Event(EventLine::new(frame.data.into()), token)
            }
            Some(Frame::CaughtUp) => Received::CaughtUp(mark()?),
            Some(Frame::FellBehind) => Received::FellBehind(mark()?),
            Some(Frame::Checkpoint) => Received::Checkpoint(mark()?),
            Some(Frame::End) => return Ok(Read::End),
            Some(Frame::Error) => match serde_json::from_slice::<Problem>(&frame.data) {
                Ok(problem) if problem.retry => {
                    self.interrupt(problem.to_string(), problem.retry_after.unwrap_or_default())
                }
                Ok(problem) => return Err(ClientError::Refused(Box::new(problem))),
                Err(error) => return Err(self.unintelligible(&error.to_string())),
            },
            // from a newer version: what this one does not know it does not need
            None => return Ok(Read::Nothing),
        }))
    }

    /// Drops the connection; the next is tried after the backoff's wait, or `at_least` if that is longer.
    fn interrupt(&mut self, reason: String, at_least: Duration) -> Received {
        self.body = None;
        self.parser.restart();
        let now = Instant::now();
        self.lost_at.get_or_insert(now);
        self.try_at = Some(now + self.backoff.next(rand::random()).max(at_least));
        Received::Interrupted(reason)
    }

    async fn reconnect(&mut self) -> Result<Read, ClientError> {
        if let Some(at) = self.try_at {
            sleep_until(at).await;
        }
        let error = match self.connect(self.client.timing.attempt).await {
            Ok(true) => return Ok(Read::Nothing),
            Ok(false) => return Ok(Read::End),
            Err(error) => error,
        };
        let may_pass = match &error {
            ClientError::Refused(problem) => problem.retry,
            ClientError::Unintelligible { .. } => false,
            _ => true,
        };
        if !may_pass || self.is_time_to_give_up() {
            return Err(error);
        }
        // a server that asked for patience gets it once connecting again does not work at once
        let asked = self.parser.retry.unwrap_or_default();
        Ok(Read::Received(self.interrupt(error.to_string(), asked)))
    }

    fn is_time_to_give_up(&self) -> bool {
        self.give_up_after.zip(self.lost_at).is_some_and(|(most, lost_at)| lost_at.elapsed() >= most)
    }

    /// Connects; false where the server says that there is nothing more.
    async fn connect(&mut self, deadline: Duration) -> Result<bool, ClientError> {
        let mut call =
            Call::get(self.client.address.in_store(&["subscribe"], &self.query), headers::EVENT_STREAM);
        if let Some(id) = self.parser.last_id.as_ref().or(self.start_id.as_ref()) {
            let id = HeaderValue::from_str(id).map_err(|error| self.unintelligible(&error.to_string()))?;
            call.headers.insert(headers::LAST_EVENT_ID, id);
        }
        let answer = self.client.open(&call, deadline).await?;
        let is_open = answer.status() != StatusCode::NO_CONTENT;
        self.body = is_open.then(|| answer.into_body());
        self.is_done = !is_open;
        Ok(is_open)
    }

    fn unintelligible(&self, reason: &str) -> ClientError {
        let address = self.client.address.to_string();
        ClientError::Unintelligible { address, reason: reason.to_owned() }
    }
}

/// What became of a frame or of a connection.
enum Read {
    Received(Received),
    End,
    Nothing,
}
