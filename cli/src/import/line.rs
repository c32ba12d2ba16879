use polylog_api::{DataState, NewEventBody, RequestError, metadata, parse_json};
use polylog_log::{AggregateId, Category, EventId, EventType, NameError, StreamName, Timestamp, Version};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// A line: an event as an export writes it. What only its own log can say (`position`, `term`, …) is read over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    stream: String,
    category: Option<String>,
    aggregate_id: Option<String>,
    version: Option<Version>,
    id: Option<EventId>,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default, deserialize_with = "some_raw")]
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
    content_type: Option<String>,
    metadata: Option<Box<RawValue>>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    time: Option<Timestamp>,
    data_state: Option<DataState>,
    #[serde(rename = "position")]
    _position: Option<IgnoredAny>,
    #[serde(rename = "lane")]
    _lane: Option<IgnoredAny>,
    #[serde(rename = "term")]
    _term: Option<IgnoredAny>,
    #[serde(rename = "recordedAt")]
    _recorded_at: Option<IgnoredAny>,
    #[serde(rename = "digest")]
    _digest: Option<IgnoredAny>,
}

/// `null` is data too.
fn some_raw<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// An event to be imported.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// 1-based number of its line.
    pub(crate) line: u64,
    pub(crate) stream: StreamName,
    pub(crate) category: Option<Category>,
    pub(crate) aggregate_id: Option<AggregateId>,
    /// The version it must get.
    pub(crate) version: Option<Version>,
    /// Its id may still be missing.
    pub(crate) event: NewEventBody,
    /// Bytes of its line, for the size of a batch.
    pub(crate) size: usize,
}

/// What a line holds.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// An event.
    Item(Box<Item>),
    /// An event of the other log's own, which says nothing here.
    System,
    /// Nothing.
    Blank,
}

/// Reads a line.
pub(crate) fn parse(number: u64, text: &[u8]) -> Result<Parsed, RequestError> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(Parsed::Blank);
    }
    if !text.starts_with(b"{") {
        return Err(RequestError::invalid("", "a line is a JSON object"));
    }
    let line: Line = parse_json(text)?;
    if line.stream.starts_with('$') {
        return Ok(Parsed::System);
    }
    if line.data_state.is_some_and(|state| state != DataState::Present) {
        return Err(RequestError::invalid("dataState", "the data of this event is not in the file"));
    }
    // parsed only now, because the log's own events have names that nobody else may use
    let stream = named("stream", &line.stream, StreamName::parse)?;
    let event_type = named("type", &line.event_type, EventType::parse)?;
    let category = line.category.map(|name| named("category", &name, Category::parse)).transpose()?;
    let aggregate_id =
        line.aggregate_id.map(|name| named("aggregateId", &name, AggregateId::parse)).transpose()?;
    let event = NewEventBody {
        id: line.id,
        data: line.data,
        data_base64: line.data_base64,
        content_type: line.content_type,
        metadata: line.metadata.map(|metadata| imported(&metadata)).transpose()?,
        correlation_id: line.correlation_id,
        causation_id: line.causation_id,
        time: line.time,
        ..NewEventBody::new(event_type)
    };
    let item =
        Item { line: number, stream, category, aggregate_id, version: line.version, event, size: text.len() };
    Ok(Parsed::Item(Box::new(item)))
}

fn named<T>(
    field: &str,
    name: &str,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<T, RequestError> {
    parse(name).map_err(|error| RequestError::from(error).within(field))
}

/// Metadata whose `$…` keys, which only the log may set, are kept under `$imported`. Without any it stays as it is.
fn imported(given: &RawValue) -> Result<Box<RawValue>, RequestError> {
    let bytes = given.get().as_bytes();
    if metadata::check(bytes).is_ok() {
        return Ok(given.to_owned());
    }
    let invalid = |error: &dyn std::fmt::Display| RequestError::invalid("metadata", error);
    let members = metadata::members(bytes).map_err(|error| invalid(&error))?;
    let mut named = Vec::with_capacity(members.len());
    for (name, value) in members {
        let name = String::from_utf8(name).map_err(|_| invalid(&"a key is not text"))?;
        named.push((name, value));
    }
    let object = |of_log: bool, more: Option<&RawValue>| {
        let chosen = named.iter().filter(|(name, _)| name.starts_with('$') == of_log);
        let chosen = chosen.map(|(name, value)| (name.as_str(), *value));
        let object =
            metadata::with_members(None, chosen.chain(more.map(|value| (metadata::IMPORTED, value))));
        let object = String::from_utf8(object).map_err(|error| invalid(&error))?;
        RawValue::from_string(object).map_err(|error| invalid(&error))
    };
    let of_log = object(true, None)?;
    object(false, Some(&of_log))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(line: &str) -> Item {
        match parse(7, line.as_bytes()).expect(line) {
            Parsed::Item(item) => *item,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn an_exported_event_keeps_what_means_something_in_another_log() {
        let line = concat!(
            r#"{"position":9,"lane":0,"term":3,"stream":"Pay-1","category":"Pay","aggregateId":"1","version":4,"#,
            r#""id":"00000000-0000-0000-0000-000000000007","type":"t","data":{"b": 1e400},"contentType":"application/json","#,
            r#""metadata":{"a":-0},"correlationId":"c","causationId":"d","time":"2026-11-21T10:00:00Z","#,
            r#""recordedAt":"2026-11-21T10:00:01Z","digest":"0f","dataState":"PRESENT"}"#
        );
        let item = item(line);
        assert_eq!((item.line, item.stream.as_str(), item.version), (7, "Pay-1", Some(Version::new(4))));
        assert_eq!(item.event.data.expect("data").get(), r#"{"b": 1e400}"#);
        assert_eq!(item.event.metadata.expect("metadata").get(), r#"{"a":-0}"#);
        assert_eq!(item.event.time.expect("a time").to_string(), "2026-11-21T10:00:00Z");
        assert_eq!(
            (item.event.correlation_id.as_deref(), item.event.causation_id.as_deref()),
            (Some("c"), Some("d"))
        );
    }

    #[test]
    fn a_line_needs_no_more_than_stream_and_type() {
        let item = item(r#" {"stream":"s","type":"t"} "#);
        assert!(item.event.id.is_none() && item.version.is_none() && item.event.data.is_none());
        let null = r#"{"stream":"s","type":"t","data":null}"#;
        assert!(matches!(parse(1, null.as_bytes()), Ok(Parsed::Item(item)) if item.event.data.is_some()));
    }

    #[test]
    fn keys_of_the_other_log_are_kept_aside() {
        let metadata = |given: &str| {
            let line = format!(r#"{{"stream":"s","type":"t","metadata":{given}}}"#);
            item(&line).event.metadata.expect("metadata").get().to_owned()
        };
        assert_eq!(metadata(r#"{"a": 1 }"#), r#"{"a": 1 }"#);
        assert_eq!(metadata(r#"{"$by":"x","a": -0}"#), r#"{"a":-0,"$imported":{"$by":"x"}}"#);
        let once = r#"{"$imported":{"$by":"x"}}"#;
        assert_eq!(metadata(once), once);
        assert_eq!(
            metadata(r#"{"$imported":{"$by":"x"},"$by":"y"}"#),
            r#"{"$imported":{"$imported":{"$by":"x"},"$by":"y"}}"#
        );
    }

    #[test]
    fn what_is_no_event_is_told() {
        assert!(matches!(parse(1, b"  \r"), Ok(Parsed::Blank)));
        assert!(matches!(
            parse(1, br#"{"stream":"$config","type":"$config","category":"$config"}"#),
            Ok(Parsed::System)
        ));
        let cases = [
            ("[]", ""),
            ("{", ""),
            (r#"{"type":"t"}"#, ""),
            (r#"{"stream":"s","type":"t","typo":1}"#, "typo"),
            (r#"{"stream":" s","type":"t"}"#, "stream"),
            (r#"{"stream":"s","type":"$t"}"#, "type"),
            (r#"{"stream":"s","type":"t","metadata":[]}"#, "metadata"),
            (r#"{"stream":"s","type":"t","dataState":"REDACTED"}"#, "dataState"),
            (r#"{"stream":"s","type":"t","version":-1}"#, "version"),
        ];
        for (line, path) in cases {
            let error = parse(1, line.as_bytes()).expect_err(line);
            assert_eq!(error.path, path, "{line}: {error}");
        }
    }
}
