use std::fmt::Display;

use polylog_api::{
    Problem, RequestError, Token,
    grpc::{duration, time},
    proto::polylog::v1,
};
use polylog_log::{SourceName, Timestamp};
use polylog_replication::{Consistency, ReadOptions, Served};

use crate::{
    filter::{Filter, LONGEST_LIST, compile_when, not_empty, parse_category, parse_stream, parse_type},
    hosted::Hosted,
    operations::{AskedOptions, Call, LARGEST},
};

/// An `invalid_request` that names a field.
pub(super) fn invalid(path: &str, reason: impl Display) -> Problem {
    RequestError::invalid(path, reason).into()
}

/// A position or version; they stay below 2^53.
pub(super) fn number(path: &str, number: u64) -> Result<u64, Problem> {
    match number {
        0..=LARGEST => Ok(number),
        _ => Err(invalid(path, format_args!("it must be a whole number from 0 to {LARGEST}"))),
    }
}

/// There is only one lane.
pub(super) fn lane(lane: u32) -> Result<(), Problem> {
    if lane == 0 { Ok(()) } else { Err(invalid("lane", "there is only lane 0")) }
}

/// What a read asks for beyond its content.
pub(super) fn read_options(call: &Call, given: Option<v1::ReadOptions>) -> Result<ReadOptions, Problem> {
    let given = given.unwrap_or_default();
    let consistency = match v1::Consistency::try_from(given.consistency) {
        Ok(v1::Consistency::Unspecified) => None,
        Ok(v1::Consistency::Strong) => Some(Consistency::Strong),
        Ok(v1::Consistency::Session) => Some(Consistency::Session),
        Ok(v1::Consistency::Bounded) => Some(Consistency::Bounded),
        Ok(v1::Consistency::Eventual) => Some(Consistency::Eventual),
        Err(_) => return Err(invalid("options.consistency", "there is no such consistency")),
    };
    let length = |path: &str, given: Option<prost_types::Duration>| {
        given.as_ref().map(duration).transpose().map_err(|reason| invalid(path, reason))
    };
    let source = (!given.source.is_empty()).then(|| SourceName::recorded(&given.source));
    let asked = AskedOptions {
        consistency,
        token: token("options.token", &given.token)?,
        max_lag_events: (given.max_lag_events > 0).then_some(given.max_lag_events),
        max_lag: length("options.max_lag", given.max_lag)?,
        wait: length("options.wait", given.wait)?,
        source,
    };
    let mut options = asked.with(call.hosted.reads).map_err(|reason| invalid("options.max_lag", reason))?;
    let left = call.deadline.saturating_duration_since(tokio::time::Instant::now());
    options.wait = options.wait.min(left);
    Ok(options)
}

/// A token; empty = none.
pub(super) fn token(path: &str, text: &str) -> Result<Option<Token>, Problem> {
    let parsed = (!text.is_empty()).then(|| text.parse::<Token>()).transpose();
    parsed.map_err(|error| invalid(path, error))
}

/// A filter, and whether the log's own events are shown.
pub(super) fn filter(given: Option<v1::Filter>) -> Result<(Filter, bool), Problem> {
    let Some(given) = given else { return Ok((Filter::default(), false)) };
    let moment = |path: &str, given: Option<prost_types::Timestamp>| -> Result<Option<Timestamp>, Problem> {
        given.as_ref().map(time).transpose().map_err(|reason| invalid(path, reason))
    };
    let some = |text: String| (!text.is_empty()).then_some(text);
    let when = some(given.when).map(|text| {
        compile_when(&text, "filter.when").map_err(|problem| problem.fact("path", "filter.when"))
    });
    let filter = Filter {
        types: list("filter.types", &given.types, parse_type)?,
        type_prefixes: list("filter.type_prefixes", &given.type_prefixes, not_empty)?,
        categories: list("filter.categories", &given.categories, parse_category)?,
        streams: list("filter.streams", &given.streams, parse_stream)?,
        correlation_id: some(given.correlation_id),
        since: moment("filter.since", given.since)?,
        until: moment("filter.until", given.until)?,
        when: when.transpose()?,
    };
    filter.check_times().map_err(|reason| invalid("filter.until", reason))?;
    Ok((filter, given.include_system))
}

fn list<T>(
    path: &str,
    given: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    if given.len() > LONGEST_LIST {
        return Err(invalid(path, format_args!("it may hold at most {LONGEST_LIST} values")));
    }
    let read = given
        .iter()
        .enumerate()
        .map(|(index, text)| read(text).map_err(|reason| invalid(&format!("{path}[{index}]"), reason)));
    read.collect()
}

/// Where an answer came from.
pub(super) fn served(hosted: &Hosted, served: &Served) -> v1::Served {
    v1::Served {
        source: served.source.as_str().to_owned(),
        position: served.position.get(),
        head: served.head.get(),
        lag_events: served.lag_events,
        token: hosted.token_at(served.point).to_string(),
        from_cache: false,
    }
}
