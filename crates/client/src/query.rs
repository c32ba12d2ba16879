use polylog_api::{Code, Problem, Token};
use polylog_log::Timestamp;

use crate::{ClientError, address::encode};

/// How new an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Everything that was acknowledged to anybody.
    Strong,
    /// What the token, or else this sidecar, has seen.
    Session,
    /// At most the store's bound behind.
    Bounded,
    /// Whatever a healthy source has.
    Eventual,
}

impl Consistency {
    fn text(self) -> &'static str {
        match self {
            Consistency::Strong => "strong",
            Consistency::Session => "session",
            Consistency::Bounded => "bounded",
            Consistency::Eventual => "eventual",
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
    pub(crate) fn query(&self) -> Result<String, ClientError> {
        let query = Query::new()
            .add("from", self.from.map(|from| number(from.into())))
            .add("direction", self.backward.then(|| "backward".into()))
            .add("limit", self.limit.map(number))
            .add("consistency", self.consistency.map(|consistency| consistency.text().into()))
            .add("token", self.token.map(|token| token.to_string()));
        Ok(query.filter(&self.filter)?.finish())
    }
}

/// A query being written.
#[derive(Debug)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn new() -> Self {
        Self(String::new())
    }

    pub(crate) fn add(mut self, name: &str, value: Option<String>) -> Self {
        if let Some(value) = value {
            if !self.0.is_empty() {
                self.0.push('&');
            }
            self.0.extend([name, "=", &encode(&value)]);
        }
        self
    }

    pub(crate) fn filter(self, filter: &Filter) -> Result<Self, ClientError> {
        Ok(self
            .add("types", list("types", &filter.types)?)
            .add("typePrefix", list("typePrefix", &filter.type_prefixes)?)
            .add("categories", list("categories", &filter.categories)?)
            .add("correlationId", filter.correlation_id.clone())
            .add("since", filter.since.map(|time| time.to_string()))
            .add("until", filter.until.map(|time| time.to_string()))
            .add("filter", filter.expression.clone())
            .add("includeSystem", filter.include_system.then(|| "true".into())))
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A number as a parameter.
pub(crate) fn number(number: impl Into<u64>) -> String {
    number.into().to_string()
}

fn list(name: &str, values: &[String]) -> Result<Option<String>, ClientError> {
    if let Some(value) = values.iter().find(|value| value.contains(',')) {
        let detail = format_args!("{name}: {value:?} has a comma, which separates values");
        let problem = Problem::new(Code::InvalidFilter, detail)
            .next_step("use a filter expression, like type == 'a,b'");
        return Err(ClientError::Refused(Box::new(problem)));
    }
    Ok((!values.is_empty()).then(|| values.join(",")))
}

#[cfg(test)]
mod tests {
    use polylog_log::Position;

    use super::*;

    #[test]
    fn options_become_a_query() {
        assert_eq!(ReadOptions::<Position>::default().query().expect("good"), "");
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
            options.query().expect("good"),
            "from=7&direction=backward&limit=5&consistency=strong&types=a%5Cb%2Cc%20d&since=1970-01-01T00%3A00%3A00Z\
             &filter=type%20%3D%3D%20%27x%27&includeSystem=true"
        );
    }

    #[test]
    fn a_comma_in_a_name_is_refused_instead_of_meaning_two() {
        let filter = Filter { categories: vec!["a,b".into()], ..Filter::default() };
        let options = ReadOptions::<Position> { filter, ..ReadOptions::default() };
        assert!(matches!(options.query(), Err(ClientError::Refused(_))));
    }
}
