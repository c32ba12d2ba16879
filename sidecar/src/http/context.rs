use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, request::Parts};
use polylog_api::{Code, Problem, Token, headers, parse_duration};
use polylog_replication::{Consistency, ReadOptions};
use tokio::time::Instant;

use super::query::{Query, invalid};
use crate::{
    filter::Filter,
    identity::Peer,
    operations::{AskedOptions, Call, LONGEST, View},
    policy::Verb,
    server::Server,
};

/// A request to one store, as every handler needs it.
pub(crate) struct Context {
    pub(crate) call: Call,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
}

/// A request to one store, which need not be open.
pub(crate) struct Addressed {
    pub(crate) server: Arc<Server>,
    pub(crate) peer: Arc<Peer>,
    /// `None` = the store of the short path.
    pub(crate) store: Option<String>,
    pub(crate) parts: Parts,
}

impl Addressed {
    /// Reads what all requests to an open store have in common.
    pub(crate) fn open(self) -> Result<Context, Problem> {
        let Self { server, peer, store, parts } = self;
        let query = Query::parse(parts.uri.query())?;
        let deadline = Instant::now() + timeout(&parts.headers)?;
        let call = Call::new(server, peer, store.as_deref(), &parts.headers, deadline)?;
        Ok(Context { call, headers: parts.headers, query })
    }
}

impl Context {
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
        let mut asked = AskedOptions { consistency, token, ..AskedOptions::default() };
        if let Some(lag) = self.query.text("maxLag") {
            match lag.parse::<u64>() {
                Ok(events) => asked.max_lag_events = Some(events),
                Err(_) => {
                    let no_lag =
                        |_| invalid("maxLag", "it must be a number of events, or a duration like 2s");
                    asked.max_lag = Some(parse_duration(&lag).map_err(no_lag)?);
                }
            }
        }
        asked.with(self.call.hosted.reads).map_err(|reason| invalid("maxLag", reason))
    }

    /// Refuses what is left in the query, and a caller who may not do this on any category.
    pub(crate) fn view(&mut self, verb: Verb, filter: Filter) -> Result<View, Problem> {
        self.finish()?;
        self.call.view(verb, filter)
    }

    /// Refuses what is left in the query.
    pub(crate) fn finish(&mut self) -> Result<(), Problem> {
        std::mem::replace(&mut self.query, Query::parse(None)?).finish()
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

/// A header that may stand once: of two values nobody could say which one is meant.
pub(crate) fn only<'a>(given: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = given.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(bad_header(name, "it is given twice")),
    }
}

/// A token in a header.
pub(crate) fn header_token(given: &HeaderMap, name: &'static str) -> Result<Option<Token>, Problem> {
    let Some(value) = only(given, name)? else { return Ok(None) };
    let parsed = value.to_str().map_err(|_| "it is not text".to_owned()).and_then(|text| {
        let parsed: Result<Token, _> = text.parse();
        parsed.map_err(|error| error.to_string())
    });
    parsed.map(Some).map_err(|reason| bad_header(name, &reason))
}

/// How long the caller waits.
pub(super) fn timeout(given: &HeaderMap) -> Result<Duration, Problem> {
    let Some(value) = only(given, headers::TIMEOUT)? else { return Ok(LONGEST) };
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
