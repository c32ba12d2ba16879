use serde::{Deserialize, Serialize};

use crate::{Event, EventType, NewEvent, SourceName, search::metadata_values};

/// Which source keeps the data of some events, as a `$config` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Of these types; empty = of any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<EventType>,
    /// For which this expression holds, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The source that keeps their data.
    pub source: SourceName,
}

/// The name in an event's metadata of the source that keeps its data. It stands in the event, under its digest, so that
/// nobody has to know which routes were in force when it was written.
pub const ROUTE: &str = "$route";

/// Cheap for the many events that name none.
fn keeper_in(metadata: Option<&[u8]>) -> Option<SourceName> {
    let metadata = metadata?;
    if !metadata.windows(ROUTE.len()).any(|window| window == ROUTE.as_bytes()) {
        return None;
    }
    let found = metadata_values(Some(metadata), &[ROUTE.to_owned()]).pop()??;
    SourceName::parse(&found).ok()
}

impl Event {
    /// The source that keeps its data, where it is one alone. The log's own events are kept by all.
    pub fn keeper(&self) -> Option<SourceName> {
        keeper_in(self.metadata.as_deref()).filter(|_| !self.is_system())
    }
}

impl NewEvent {
    /// The source that is to keep its data, where it is one alone.
    pub fn keeper(&self) -> Option<SourceName> {
        keeper_in(self.metadata.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_from_the_metadata_itself() {
        let of = |metadata: &str| keeper_in(Some(metadata.as_bytes())).map(|name| name.to_string());
        assert_eq!(of(r#"{"a":1,"$route":"archive"}"#).as_deref(), Some("archive"));
        for none in [
            r#"{"route":"archive"}"#,
            r#"{"deep":{"$route":"archive"}}"#,
            r#"{"text":"$route"}"#,
            r#"{"$route":null}"#,
            r#"{"$route":""}"#,
            "{}",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(keeper_in(None), None);
    }
}
