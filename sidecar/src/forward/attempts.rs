use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use polylog_api::{Code, Problem};
use tokio::time::Instant;

use super::{
    Forward, Lane,
    link::{Link, SendError},
};

/// The first wait before another try; it doubles.
const SHORTEST: Duration = Duration::from_millis(10);
/// The longest wait: a gateway that is replaced is back within moments.
const LONGEST: Duration = Duration::from_millis(500);

/// A version conflict may show a hundred events.
const LARGEST_ANSWER: usize = 64 << 20;

/// What a try that nobody answered may have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Nothing: it is a read.
    Never,
    /// It may have been written, and whoever sends it again learns that.
    Settled,
    /// It may have been written, and would be written once more.
    Stays,
}

/// What became of a try.
pub(crate) enum Sent {
    /// There is an answer.
    Answered(Response<Incoming>),
    /// There is none, and there is time for another try.
    Again,
}

/// The tries of one request, as the store's own sources would be tried: until there is an answer or no time.
pub(crate) struct Attempts<'a> {
    forward: &'a Forward,
    lane: Lane,
    deadline: Instant,
    doubt: Doubt,
    pause: Duration,
    /// An earlier try may have been written.
    may_be_written: bool,
    has_fresh_token: bool,
    /// What stood in the way of the last try.
    last: Option<String>,
    /// When the token of the last try ends.
    pub(crate) ends: Option<SystemTime>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(forward: &'a Forward, lane: Lane, deadline: Instant, doubt: Doubt) -> Self {
        let pause = SHORTEST;
        Self {
            forward,
            lane,
            deadline,
            doubt,
            pause,
            may_be_written: false,
            has_fresh_token: false,
            last: None,
            ends: None,
        }
    }

    /// How long the caller still waits.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether an earlier try left something open, so that a refusal does not say that nothing was written.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.may_be_written
    }

    /// Tries once.
    ///
    /// # Errors
    /// What the caller is told, where another try makes no sense.
    pub(crate) async fn send(&mut self, request: &Request<Full<Bytes>>) -> Result<Sent, Problem> {
        let bearer = match self.forward.token.bearer().await {
            Ok(bearer) => bearer,
            Err(reason) => return Err(self.final_word(self.forward.refused(&reason))),
        };
        let mut request = request.clone();
        request.headers_mut().insert(header::AUTHORIZATION, bearer.value);
        self.ends = bearer.ends;
        let link = self.forward.link(self.lane);
        let sender = match tokio::time::timeout_at(self.deadline, link.ready()).await {
            Ok(Ok(sender)) => sender,
            Ok(Err(reason)) => return self.wait(&reason).await.map(|()| Sent::Again),
            Err(_) => return Err(self.out_of_time("no connection in time")),
        };
        match tokio::time::timeout_at(self.deadline, Link::send(sender, request)).await {
            Ok(Ok(answer)) => Ok(Sent::Answered(answer)),
            Ok(Err(SendError::NotSent(reason))) => self.wait(&reason).await.map(|()| Sent::Again),
            Ok(Err(SendError::Cut(reason))) => {
                link.leave();
                self.cut(&reason).await.map(|()| Sent::Again)
            }
            Err(_) => {
                // nobody knows whether the connection is still one
                link.leave();
                self.may_be_written |= self.doubt != Doubt::Never;
                Err(self.out_of_time("no answer in time"))
            }
        }
    }

    /// All of an answer's body; `None` = it broke off, which is as if there were no answer, and there is time for another try.
    ///
    /// # Errors
    /// What the caller is told, where another try makes no sense.
    pub(crate) async fn whole(&mut self, body: Incoming) -> Result<Option<Collected<Bytes>>, Problem> {
        let collected = tokio::time::timeout_at(self.deadline, Limited::new(body, LARGEST_ANSWER).collect());
        let reason = match collected.await {
            Ok(Ok(whole)) => return Ok(Some(whole)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its answer did not come to its end in time".to_owned(),
        };
        self.cut(&reason).await.map(|()| None)
    }

    /// Goes on after an answer that means nothing, or a try that broke off.
    pub(crate) async fn cut(&mut self, reason: &str) -> Result<(), Problem> {
        self.may_be_written |= self.doubt != Doubt::Never;
        if self.doubt == Doubt::Stays {
            return Err(self.forward.unknown(reason));
        }
        self.wait(reason).await
    }

    /// Goes on after a refusal, if it is one that another try may not meet; else what the caller is told.
    pub(crate) async fn refused(&mut self, problem: Problem) -> Result<(), Problem> {
        match problem.code {
            Code::Unauthenticated if !self.has_fresh_token => {
                self.has_fresh_token = true;
                self.forward.token.forget();
                Ok(())
            }
            Code::Unauthenticated => Err(self.final_word(self.forward.refused(&problem.detail))),
            // it has taken nothing: another one takes over, or it has just begun and opens the log
            Code::Draining | Code::SourceUnavailable | Code::NoPrimary => {
                if problem.code == Code::Draining {
                    self.forward.link(self.lane).leave();
                }
                self.wait(&problem.detail).await.map_err(|told| match told.code {
                    Code::SourceUnavailable => problem,
                    _ => told,
                })
            }
            // the log was asked for the ids
            Code::IdConflict => Err(problem),
            _ if self.may_be_written && problem.retry => self.wait(&problem.detail).await,
            _ => Err(self.final_word(problem)),
        }
    }

    async fn wait(&mut self, reason: &str) -> Result<(), Problem> {
        let pause = self.pause.mul_f64(rand::random_range(0.5..1.0));
        if pause >= self.left() {
            return Err(self.final_word(self.forward.unreachable(reason)));
        }
        self.last = Some(reason.to_owned());
        self.pause = (self.pause * 2).min(LONGEST);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// What stood in the way before says more than that there was no time.
    fn out_of_time(&self, reason: &str) -> Problem {
        self.final_word(self.forward.unreachable(self.last.as_deref().unwrap_or(reason)))
    }

    /// A refusal of a later try says nothing about an earlier one.
    fn final_word(&self, problem: Problem) -> Problem {
        if self.may_be_written { self.forward.unknown(&problem.detail) } else { problem }
    }
}
