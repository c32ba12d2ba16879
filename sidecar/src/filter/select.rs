use polylog_api::{Code, Problem};
use polylog_log::{Category, Event, EventType, Narrow, StreamName, Timestamp};

use super::When;
use crate::{
    http::query::{Query, invalid},
    policy::Glob,
};

/// Which events a read or a subscription shows: lists hold if one of them does, and all parts must hold.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) types: Vec<EventType>,
    pub(crate) type_prefixes: Vec<String>,
    pub(crate) categories: Vec<Glob>,
    pub(crate) streams: Vec<StreamName>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) when: Option<When>,
}

/// Longest list in a filter.
pub(crate) const LONGEST_LIST: usize = 100;

impl Filter {
    /// Takes what every filter has from a query.
    pub(crate) fn take(query: &mut Query) -> Result<Self, Problem> {
        Ok(Self {
            types: query.list("types", parse_type)?,
            type_prefixes: query.list("typePrefix", not_empty)?,
            categories: query.list("categories", parse_category)?,
            streams: query.list("streams", parse_stream)?,
            correlation_id: query.with("correlationId", not_empty)?,
            when: take_when(query)?,
            since: None,
            until: None,
        })
    }

    /// Takes what the filter of a stream has: only types and the expression.
    pub(crate) fn take_of_stream(query: &mut Query) -> Result<Self, Problem> {
        Ok(Self { types: query.list("types", parse_type)?, when: take_when(query)?, ..Self::default() })
    }

    /// Takes `since` and `until`, which reads (not subscriptions) compare with the events' own time.
    pub(crate) fn with_times(mut self, query: &mut Query) -> Result<Self, Problem> {
        let time = |text: &str| Timestamp::parse(text).map_err(|error| error.to_string());
        self.since = query.with("since", time)?;
        self.until = query.with("until", time)?;
        self.check_times().map_err(|reason| invalid("until", reason))?;
        Ok(self)
    }

    /// Refuses an end before the beginning.
    pub(crate) fn check_times(&self) -> Result<(), &'static str> {
        match (self.since, self.until) {
            (Some(since), Some(until)) if since > until => Err("it lies before since"),
            _ => Ok(()),
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
        self.holds_kind(&event.event_type, &event.category)
            && (self.streams.is_empty() || self.streams.contains(&event.stream))
            && self.correlation_id.as_ref().is_none_or(|id| event.correlation_id.as_ref() == Some(id))
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until)
    }

    /// Whether events of this type and category may be shown.
    pub(crate) fn holds_kind(&self, event_type: &EventType, category: &Category) -> bool {
        let any = |is_empty: bool, holds: bool| is_empty || holds;
        any(self.types.is_empty(), self.types.contains(event_type))
            && any(
                self.type_prefixes.is_empty(),
                self.type_prefixes.iter().any(|prefix| event_type.as_str().starts_with(prefix)),
            )
            && any(
                self.categories.is_empty(),
                self.categories.iter().any(|glob| glob.matches(category.as_str())),
            )
    }

    /// Whether type, category and time say all of whether an event is shown.
    pub(crate) fn looks_only_at_kinds(&self) -> bool {
        self.streams.is_empty() && self.correlation_id.is_none() && self.when.is_none()
    }

    /// Whether more than lists says which kinds of events are shown.
    pub(crate) fn has_patterns(&self) -> bool {
        !self.type_prefixes.is_empty() || self.categories.iter().any(|glob| glob.literal().is_none())
    }

    /// What a source may leave out; never what would be shown.
    pub(crate) fn narrow(&self) -> Narrow {
        let literals: Option<Vec<Category>> =
            self.categories.iter().map(|glob| glob.literal().map(Category::recorded)).collect();
        Narrow {
            types: self.types.clone(),
            categories: literals.unwrap_or_default(),
            since: self.since,
            until: self.until,
        }
    }

    /// The expression, which looks at what the caller may see, so after redaction.
    pub(crate) fn when(&self) -> Option<&When> {
        self.when.as_ref()
    }
}

/// A type in a filter.
pub(crate) fn parse_type(text: &str) -> Result<EventType, String> {
    match text {
        // the log's own types can be asked for too
        own if own.starts_with('$') => Ok(EventType::recorded(own)),
        text => EventType::parse(text).map_err(|error| error.to_string()),
    }
}

/// A category's pattern in a filter.
pub(crate) fn parse_category(text: &str) -> Result<Glob, String> {
    not_empty(text).map(|text| Glob::new(&text))
}

/// A stream in a filter.
pub(crate) fn parse_stream(text: &str) -> Result<StreamName, String> {
    StreamName::parse(text).map_err(|error| error.to_string())
}

/// Another text in a filter.
pub(crate) fn not_empty(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a value is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// The expression of a filter, which `place` names.
pub(crate) fn compile_when(text: &str, place: &str) -> Result<When, Problem> {
    When::compile(text).map_err(|reason| {
        Problem::new(Code::InvalidFilter, format_args!("{place}: {reason}"))
            .next_step("correct the expression; it is CEL over event, like event.data.amount > 100")
    })
}

fn take_when(query: &mut Query) -> Result<Option<When>, Problem> {
    let compile = |text: String| {
        compile_when(&text, "query parameter \"filter\"")
            .map_err(|problem| problem.fact("parameter", "filter"))
    };
    query.text("filter").map(compile).transpose()
}
