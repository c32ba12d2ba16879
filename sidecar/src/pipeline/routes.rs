use bytes::Bytes;
use polylog_api::metadata;
use polylog_log::{Commit, Config, NewEvent, ROUTE, Route, SourceName};

use crate::filter::When;

/// Which source keeps the data of which events, compiled once per `$config`.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    routes: Vec<(Route, Option<When>)>,
    default: Option<SourceName>,
}

impl Routes {
    /// Those of a configuration; says which of them is wrong.
    pub(crate) fn compile(config: &Config) -> Result<Self, String> {
        let routes = compiled(&config.routes)?;
        Ok(Self { routes, default: config.default_route.clone() })
    }

    /// Writes into the metadata of each event which source is to keep its data: it is read there from then on, whatever
    /// routes come later.
    pub(crate) fn stamp(&self, commit: &mut Commit) {
        if self.routes.is_empty() && self.default.is_none() {
            return;
        }
        for append in &mut commit.appends {
            let category = append.category.clone().unwrap_or_else(|| append.stream.default_category());
            for event in &mut append.events {
                let Some(keeper) = self.keeper(event, append.stream.as_str(), category.as_str()) else {
                    continue;
                };
                let name = metadata::string(keeper.as_str());
                let stamped = metadata::with_members(event.metadata.as_deref(), [(ROUTE, &*name)]);
                event.metadata = Some(Bytes::from(stamped));
            }
        }
    }

    fn keeper(&self, event: &NewEvent, stream: &str, category: &str) -> Option<&SourceName> {
        let fits = |(route, when): &&(Route, Option<When>)| {
            (route.types.is_empty() || route.types.contains(&event.event_type))
                && when.as_ref().is_none_or(|when| when.holds_for(event, stream, category))
        };
        self.routes.iter().find(fits).map(|(route, _)| &route.source).or(self.default.as_ref())
    }
}

fn compiled(routes: &[Route]) -> Result<Vec<(Route, Option<When>)>, String> {
    let compile = |(index, route): (usize, &Route)| {
        let when = route.when.as_deref().map(When::compile_route).transpose();
        Ok((route.clone(), when.map_err(|reason| format!("routes[{index}].when: {reason}"))?))
    };
    routes.iter().enumerate().map(compile).collect()
}

/// What is wrong with the conditions of routes.
pub(crate) fn check(routes: &[Route]) -> Result<(), String> {
    compiled(routes).map(|_| ())
}

#[cfg(test)]
mod tests {
    use polylog_log::{EventId, EventType, Expected, LogId, Member, StreamAppend, StreamName};
    use uuid::Uuid;

    use super::*;

    fn config(routes: Vec<Route>) -> Config {
        let name = SourceName::recorded("ledger");
        let (database, incarnation) =
            (polylog_log::DatabaseId::from_bytes([1; 16]), polylog_log::Incarnation::from_bytes([1; 16]));
        let member = Member { name: name.clone(), database, incarnation };
        Config { routes, default_route: Some(name), ..Config::implicit(member) }
    }

    fn route(types: &[&str], when: Option<&str>, source: &str) -> Route {
        Route {
            types: types.iter().map(|name| EventType::recorded(name)).collect(),
            when: when.map(Into::into),
            source: SourceName::recorded(source),
        }
    }

    fn keeper(routes: &Routes, event_type: &str, metadata: Option<&str>) -> Option<String> {
        let mut event =
            NewEvent::json(EventId::new(Uuid::from_u128(1)), EventType::recorded(event_type), "{}");
        event.metadata = metadata.map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let append = StreamAppend::new(StreamName::recorded("Payment-1"), Expected::Any, vec![event]);
        let mut commit = Commit::new(LogId::new(Uuid::nil()), vec![append]);
        routes.stamp(&mut commit);
        commit.appends[0].events[0].keeper().map(|name| name.to_string())
    }

    #[test]
    fn the_first_route_that_fits_counts_and_what_fits_none_goes_to_the_default() {
        let routes = Routes::compile(&config(vec![
            route(&["Paid", "Refunded"], None, "archive"),
            route(&[], Some("metadata.region == 'eu' && category == 'Payment'"), "europe"),
            route(&[], Some("type.startsWith('Audit')"), "archive"),
        ]));
        let routes = routes.expect("good routes");
        for (event_type, metadata, expected) in [
            ("Paid", Some(r#"{"region":"eu"}"#), "archive"),
            ("Booked", Some(r#"{"region":"eu"}"#), "europe"),
            ("Booked", Some(r#"{"region":"us"}"#), "ledger"),
            ("Booked", None, "ledger"),
            ("AuditDone", None, "archive"),
        ] {
            assert_eq!(keeper(&routes, event_type, metadata).as_deref(), Some(expected), "{event_type}");
        }
        assert_eq!(keeper(&Routes::default(), "Paid", None), None);
    }

    #[test]
    fn conditions_do_not_see_the_data() {
        for bad in ["data.x == 1", "event.type == 'x'", "metadata.all(k, metadata.all(j, j == k))", "type =="]
        {
            assert!(check(&[route(&[], Some(bad), "a")]).is_err(), "{bad}");
        }
    }
}
