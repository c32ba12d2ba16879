use std::time::Duration;

use polylog_api::Token;
use polylog_log::Timestamp;

use crate::address::encode;

/// How new an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Everything that was acknowledged to anybody.
    Strong,
    /// What the token, or else this sidecar, has seen.
    Session,
    /// From a source that is at most so far behind.
    Bounded(MaxLag),
    /// Whatever a healthy source has.
    Eventual,
}

/// How far behind a source may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxLag {
    /// So many events.
    Events(u64),
    /// As long; counted in whole milliseconds.
    Time(Duration),
}

impl MaxLag {
    fn text(self) -> String {
        match self {
            MaxLag::Events(events) => events.to_string(),
            MaxLag::Time(time) => format!("{}ms", time.as_millis()),
        }
    }
}

impl Consistency {
    fn text(self) -> &'static str {
        match self {
            Consistency::Strong => "strong",
            Consistency::Session => "session",
            Consistency::Bounded(_) => "bounded",
            Consistency::Eventual => "eventual",
        }
    }

    fn max_lag(self) -> Option<MaxLag> {
        match self {
            Consistency::Bounded(max_lag) => Some(max_lag),
            _ => None,
        }
    }
}

/// Which events are wanted; lists are "or" inside, "and" between.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of these types.
    pub types: Vec<String>,
    /// Of types that begin so.
    pub type_prefixes: Vec<String>,
    /// Of these categories; not for reads of one stream.
    pub categories: Vec<String>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
    /// That happened at or after this time.
    pub since: Option<Timestamp>,
    /// That happened before this time.
    pub until: Option<Timestamp>,
    /// For which this CEL expression holds.
    pub expression: Option<String>,
    /// The log's own events too.
    pub include_system: bool,
}

/// How to read a stream (`N` = version) or the log (`N` = position).
#[derive(Debug, Clone)]
pub struct ReadOptions<N> {
    /// The first one; absent: from the beginning, or backward from the end.
    pub from: Option<N>,
    /// From the end to the beginning.
    pub backward: bool,
    /// At most so many events.
    pub limit: Option<u32>,
    /// Which events.
    pub filter: Filter,
    /// How new the answer must be; absent: as the store says.
    pub consistency: Option<Consistency>,
    /// What must have been seen.
    pub token: Option<Token>,
}

impl<N> Default for ReadOptions<N> {
    fn default() -> Self {
        Self {
            from: None,
            backward: false,
            limit: None,
            filter: Filter::default(),
            consistency: None,
            token: None,
        }
    }
}

impl<N: Into<u64> + Copy> ReadOptions<N> {
    pub(crate) fn query(&self) -> String {
        let query = Query::new()
            .add("from", self.from.map(|from| number(from.into())))
            .add("direction", self.backward.then(|| "backward".into()))
            .add("limit", self.limit.map(number))
            .add("consistency", self.consistency.map(|consistency| consistency.text().into()))
            .add("maxLag", self.consistency.and_then(Consistency::max_lag).map(MaxLag::text))
            .add("token", self.token.map(|token| token.to_string()));
        query.filter(&self.filter).finish()
    }
}

/// A query being written.
#[derive(Debug)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn new() -> Self {
        Self(String::new())
    }

    pub(crate) fn add(self, name: &str, value: Option<String>) -> Self {
        self.list(name, value.as_slice())
    }

    /// Values are separated by commas; an encoded comma belongs to its value.
    fn list(mut self, name: &str, values: &[String]) -> Self {
        if !values.is_empty() {
            if !self.0.is_empty() {
                self.0.push('&');
            }
            let values: Vec<_> = values.iter().map(|value| encode(value)).collect();
            self.0.extend([name, "=", &values.join(",")]);
        }
        self
    }

    pub(crate) fn filter(self, filter: &Filter) -> Self {
        self.list("types", &filter.types)
            .list("typePrefix", &filter.type_prefixes)
            .list("categories", &filter.categories)
            .add("correlationId", filter.correlation_id.clone())
            .add("since", filter.since.map(|time| time.to_string()))
            .add("until", filter.until.map(|time| time.to_string()))
            .add("filter", filter.expression.clone())
            .add("includeSystem", filter.include_system.then(|| "true".into()))
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A number as a parameter.
pub(crate) fn number(number: impl Into<u64>) -> String {
    number.into().to_string()
}

#[cfg(test)]
mod tests {
    use polylog_log::Position;

    use super::*;

    #[test]
    fn options_become_a_query() {
        assert_eq!(ReadOptions::<Position>::default().query(), "");
        let options = ReadOptions {
            from: Some(Position::new(7)),
            backward: true,
            limit: Some(5),
            filter: Filter {
                types: vec!["a\\b".into(), "c d".into()],
                since: Some(Timestamp::EPOCH),
                expression: Some("type == 'x'".into()),
                include_system: true,
                ..Filter::default()
            },
            consistency: Some(Consistency::Strong),
            token: None,
        };
        assert_eq!(
            options.query(),
            "from=7&direction=backward&limit=5&consistency=strong&types=a%5Cb,c%20d&since=1970-01-01T00%3A00%3A00Z\
             &filter=type%20%3D%3D%20%27x%27&includeSystem=true"
        );
    }

    #[test]
    fn a_comma_in_a_name_is_not_one_between_names() {
        let filter = Filter { categories: vec!["a,b".into(), "c".into()], ..Filter::default() };
        let options = ReadOptions::<Position> { filter, ..ReadOptions::default() };
        assert_eq!(options.query(), "categories=a%2Cb,c");
    }

    #[test]
    fn bounded_reads_say_their_bound() {
        let query = |max_lag| {
            let consistency = Some(Consistency::Bounded(max_lag));
            ReadOptions::<Position> { consistency, ..ReadOptions::default() }.query()
        };
        assert_eq!(query(MaxLag::Events(5)), "consistency=bounded&maxLag=5");
        assert_eq!(query(MaxLag::Time(Duration::from_secs(2))), "consistency=bounded&maxLag=2000ms");
    }
}
