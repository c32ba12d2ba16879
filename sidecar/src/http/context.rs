use std::{sync::Arc, time::Duration};

use http::{HeaderMap, request::Parts};
use polylog_api::{Code, Problem, Token, headers, parse_duration};
use polylog_replication::{Consistency, ReadOptions};
use tokio::time::Instant;

use super::query::{Query, invalid};
use crate::{
    hosted::{Hosted, token_point},
    pipeline::Caller,
    policy::Policy,
    server::Server,
};

/// Longest that a request may take, whatever its caller asks for.
const LONGEST: Duration = Duration::from_secs(5);

/// A request to one store, as every handler needs it.
pub(crate) struct Context {
    pub(crate) server: Arc<Server>,
    pub(crate) hosted: Arc<Hosted>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    pub(crate) deadline: Instant,
}

impl Context {
    /// Reads what all requests have in common.
    pub(crate) fn new(server: Arc<Server>, store: Option<&str>, parts: Parts) -> Result<Self, Problem> {
        let hosted = server.store(store)?;
        let query = Query::parse(parts.uri.query())?;
        let caller = Caller::of(server.subject.clone(), server.workload.clone(), &parts.headers)?;
        let deadline = Instant::now() + timeout(&parts.headers)?;
        Ok(Self { policy: hosted.policy(), server, hosted, caller, headers: parts.headers, query, deadline })
    }

    /// Takes what a read may ask for beyond its content.
    pub(crate) fn read_options(&mut self) -> Result<ReadOptions, Problem> {
        let consistency =
            self.query.with("consistency", |text| match text.to_ascii_lowercase().as_str() {
                "strong" => Ok(Consistency::Strong),
                "session" => Ok(Consistency::Session),
                "bounded" => Ok(Consistency::Bounded),
                "eventual" => Ok(Consistency::Eventual),
                _ => Err("it must be strong, session, bounded or eventual".to_owned()),
            })?;
        let token = self.token()?;
        let defaults = self.hosted.reads;
        let mut options = ReadOptions {
            consistency: consistency.unwrap_or(defaults.consistency),
            token: token.map(token_point),
            wait: defaults.wait.min(LONGEST),
            ..ReadOptions::default()
        };
        if let Some(lag) = self.query.text("maxLag") {
            match lag.parse::<u64>() {
                Ok(events) => options.max_lag_events = Some(events),
                Err(_) => {
                    let no_lag =
                        |_| invalid("maxLag", "it must be a number of events, or a duration like 2s");
                    options.max_lag = Some(parse_duration(&lag).map_err(no_lag)?);
                }
            }
        }
        let names_lag = options.max_lag.is_some() || options.max_lag_events.is_some();
        if consistency.is_none() && defaults.consistency == Consistency::Bounded && !names_lag {
            options.max_lag = Some(defaults.max_lag);
            options.max_lag_events = Some(defaults.max_lag_events);
        }
        let is_bounded = options.consistency == Consistency::Bounded;
        if is_bounded != (options.max_lag.is_some() || options.max_lag_events.is_some()) {
            return Err(invalid("maxLag", "it belongs to consistency=bounded, which needs it"));
        }
        Ok(options)
    }

    /// Takes the token: of the query, else of the header.
    fn token(&mut self) -> Result<Option<Token>, Problem> {
        if let Some(token) = self.query.parsed("token")? {
            return Ok(Some(token));
        }
        header_token(&self.headers, headers::TOKEN)
    }

    /// Takes the lane; there is only one.
    pub(crate) fn lane(&mut self) -> Result<(), Problem> {
        self.query.number("lane", 0, 0).map(drop)
    }

    /// Takes the direction; true = backward.
    pub(crate) fn is_backward(&mut self) -> Result<bool, Problem> {
        let read = |text: &str| match text {
            "forward" => Ok(false),
            "backward" => Ok(true),
            _ => Err("it must be forward or backward".to_owned()),
        };
        Ok(self.query.with("direction", read)?.unwrap_or(false))
    }
}

/// A token in a header.
pub(crate) fn header_token(given: &HeaderMap, name: &'static str) -> Result<Option<Token>, Problem> {
    let Some(value) = given.get(name) else { return Ok(None) };
    let parsed = value.to_str().map_err(|_| "it is not text".to_owned()).and_then(|text| {
        let parsed: Result<Token, _> = text.parse();
        parsed.map_err(|error| error.to_string())
    });
    parsed.map(Some).map_err(|reason| bad_header(name, &reason))
}

/// How long the caller waits.
fn timeout(given: &HeaderMap) -> Result<Duration, Problem> {
    let Some(value) = given.get(headers::TIMEOUT) else { return Ok(LONGEST) };
    let parsed = value.to_str().ok().and_then(|text| parse_duration(text).ok());
    match parsed {
        Some(timeout) if !timeout.is_zero() => Ok(timeout.min(LONGEST)),
        _ => Err(bad_header(headers::TIMEOUT, "it must be a duration like 500ms or 2s")),
    }
}

/// An `invalid_request` that names a header.
pub(crate) fn bad_header(name: &str, reason: &str) -> Problem {
    Problem::new(Code::InvalidRequest, format_args!("header {name}: {reason}"))
        .next_step("correct the header or leave it out")
        .fact("header", name)
}
