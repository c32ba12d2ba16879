use polylog_api::{Code, Problem};
use polylog_log::{Category, Event, EventType, StreamName, Timestamp};

use super::When;
use crate::{
    http::query::{Query, invalid},
    policy::Glob,
};

/// Which events a read or a subscription shows: lists hold if one of them does, and all parts must hold.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    types: Vec<EventType>,
    type_prefixes: Vec<String>,
    categories: Vec<Glob>,
    streams: Vec<StreamName>,
    correlation_id: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    when: Option<When>,
}

impl Filter {
    /// Takes what every filter has from a query.
    pub(crate) fn take(query: &mut Query) -> Result<Self, Problem> {
        let not_empty = |text: &str| match text {
            "" => Err("a value is empty".to_owned()),
            text => Ok(text.to_owned()),
        };
        Ok(Self {
            types: take_types(query)?,
            type_prefixes: query.list("typePrefix", not_empty)?,
            categories: query.list("categories", |text| not_empty(text).map(|text| Glob::new(&text)))?,
            streams: query.list("streams", |text| StreamName::parse(text).map_err(|e| e.to_string()))?,
            correlation_id: query.with("correlationId", not_empty)?,
            when: take_when(query)?,
            since: None,
            until: None,
        })
    }

    /// Takes what the filter of a stream has: only types and the expression.
    pub(crate) fn take_of_stream(query: &mut Query) -> Result<Self, Problem> {
        Ok(Self { types: take_types(query)?, when: take_when(query)?, ..Self::default() })
    }

    /// Takes `since` and `until`, which reads (not subscriptions) compare with the events' own time.
    pub(crate) fn with_times(mut self, query: &mut Query) -> Result<Self, Problem> {
        let time = |text: &str| Timestamp::parse(text).map_err(|error| error.to_string());
        self.since = query.with("since", time)?;
        self.until = query.with("until", time)?;
        match (self.since, self.until) {
            (Some(since), Some(until)) if since > until => Err(invalid("until", "it lies before since")),
            _ => Ok(self),
        }
    }

    /// The only category that can match, where that is known beforehand.
    pub(crate) fn only_category(&self) -> Option<Category> {
        match &self.categories[..] {
            [only] => Category::parse(only.literal()?).ok(),
            _ => None,
        }
    }

    /// Whether an event of another kind than data and metadata says is shown.
    pub(crate) fn holds(&self, event: &Event) -> bool {
        let any = |is_empty: bool, holds: bool| is_empty || holds;
        any(self.types.is_empty(), self.types.contains(&event.event_type))
            && any(
                self.type_prefixes.is_empty(),
                self.type_prefixes.iter().any(|prefix| event.event_type.as_str().starts_with(prefix)),
            )
            && any(
                self.categories.is_empty(),
                self.categories.iter().any(|glob| glob.matches(event.category.as_str())),
            )
            && any(self.streams.is_empty(), self.streams.contains(&event.stream))
            && self.correlation_id.as_ref().is_none_or(|id| event.correlation_id.as_ref() == Some(id))
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until)
    }

    /// The expression, which looks at what the caller may see, so after redaction.
    pub(crate) fn when(&self) -> Option<&When> {
        self.when.as_ref()
    }
}

fn take_types(query: &mut Query) -> Result<Vec<EventType>, Problem> {
    query.list("types", |text| match text {
        // the log's own types can be asked for too
        own if own.starts_with('$') => Ok(EventType::recorded(own)),
        text => EventType::parse(text).map_err(|error| error.to_string()),
    })
}

fn take_when(query: &mut Query) -> Result<Option<When>, Problem> {
    let compile = |text: String| {
        When::compile(&text).map_err(|reason| {
            Problem::new(Code::InvalidFilter, format_args!("query parameter \"filter\": {reason}"))
                .next_step("correct the expression; it is CEL over event, like event.data.amount > 100")
                .fact("parameter", "filter")
        })
    };
    query.text("filter").map(compile).transpose()
}
