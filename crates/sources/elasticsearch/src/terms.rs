//! What a document holds so that searches find it by the index alone, and the questions that use it. No I/O.

use polylog_log::{DataDigest, Event, Sought, Words, metadata_members, search_text};
use serde::Serialize;
use serde_json::{Value, json};

use crate::schema::Store;

/// What the index knows of an event. Of those that lack a part a search needs, each is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// Kind, stream, time, position.
    Kinds,
    /// What the metadata says.
    Metadata,
    /// Its words.
    Text,
}

/// The fields of a document by which searches find it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terms {
    /// What the index knows of the event.
    indexed: Vec<Part>,
    /// A term per member of the metadata.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    said: Vec<String>,
    /// Words with spaces between.
    #[serde(skip_serializing_if = "String::is_empty")]
    search_text: String,
}

/// Events whose metadata has more members, or longer names (in bytes), are looked at where a search asks for metadata.
const MOST_MEMBERS: usize = 256;
const LONGEST_NAME: usize = 200;

/// Longer terms stand there by their digests: a server takes 32,766 bytes, and they are read back only to be counted.
const LONGEST_TERM: usize = 1_000;

/// Longer ones are not in the index.
const LONGEST_CORRELATION: usize = 250;

impl Terms {
    /// Those of an event. The log's own events are never found.
    pub(crate) fn of(event: &Event, full_text: bool) -> Self {
        let mut terms = Self { indexed: vec![Part::Kinds], ..Self::default() };
        let members = match event.is_system() {
            true => Default::default(),
            false => metadata_members(event.metadata.as_deref()),
        };
        if members.len() <= MOST_MEMBERS && members.keys().all(|name| name.len() <= LONGEST_NAME) {
            terms.indexed.push(Part::Metadata);
            terms.said = members.iter().map(|(name, value)| said(name, value)).collect();
        }
        // the words of data that another source keeps are not known here
        let is_whole = event.data.is_some() || event.keeper().is_none();
        if full_text && is_whole {
            terms.indexed.push(Part::Text);
            terms.search_text = if event.is_system() { String::new() } else { search_text(event) };
        }
        terms
    }
}

/// The term for a member of the metadata.
fn said(name: &str, value: &str) -> String {
    let name = quoted(name);
    match name.len() + value.len() {
        0..=LONGEST_TERM => format!("{name}:{value}"),
        _ => format!("{name}#{}", DataDigest::of(value.as_bytes())),
    }
}

/// A name in quotes: where it ends can be seen.
fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

/// The value that a term says, of a name; `None` = it stands there by its digest.
pub(crate) fn value_said<'t>(name: &str, term: &'t str) -> Option<&'t str> {
    term.strip_prefix(quoted(name).as_str())?.strip_prefix(':')
}

/// A pattern for all terms of a name, if the index has them.
pub(crate) fn pattern(name: &str) -> Option<String> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let mut pattern = String::new();
    for c in quoted(name).chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    // a server takes patterns of 1,000 characters
    (pattern.len() <= 900).then(|| format!("{pattern}[:#].*"))
}

/// The parts of the index that a search needs; `None` = it asks for something that no index has.
pub(crate) fn parts(sought: &Sought, names: &[String]) -> Option<Vec<Part>> {
    let mut parts = vec![Part::Kinds];
    if !sought.metadata.is_empty() || !names.is_empty() {
        parts.push(Part::Metadata);
    }
    if let Some(words) = &sought.words {
        // the server splits at some control characters that may stand within a word
        if words.iter().any(|word| word.chars().any(char::is_control)) {
            return None;
        }
        parts.push(Part::Text);
    }
    let is_long = |id: &String| id.len() > LONGEST_CORRELATION;
    let is_known = !sought.correlation_id.as_ref().is_some_and(is_long)
        && sought.metadata.iter().all(|(name, _)| name.len() <= LONGEST_NAME);
    is_known.then_some(parts)
}

/// The documents of a log up to a position that have these parts; with the rest of a search's conditions they are hits.
pub(crate) fn having(store: &Store, to: u64, parts: &[Part]) -> Vec<Value> {
    let mut filter = vec![
        json!({ "term": { "store": store.as_str() } }),
        json!({ "range": { "position": { "gte": 1, "lte": to } } }),
    ];
    filter.extend(parts.iter().map(|part| json!({ "term": { "indexed": part } })));
    filter
}

/// What a search asks for, as a query; `filter` are conditions besides.
pub(crate) fn query(sought: &Sought, mut filter: Vec<Value>) -> Value {
    let narrow = &sought.narrow;
    if !narrow.types.is_empty() {
        filter.push(json!({ "terms": { "eventType": texts(narrow.types.iter()) } }));
    }
    if !narrow.categories.is_empty() {
        filter.push(json!({ "terms": { "aggregateType": texts(narrow.categories.iter()) } }));
    }
    if narrow.since.is_some() || narrow.until.is_some() {
        let mut range = json!({});
        if let Some(since) = narrow.since {
            range["gte"] = since.as_micros().into();
        }
        if let Some(until) = narrow.until {
            range["lt"] = until.as_micros().into();
        }
        filter.push(json!({ "range": { "timestampMicros": range } }));
    }
    if let Some(kinds) = &sought.kinds {
        let kind = |(category, event_type): &(_, _)| {
            let (category, event_type): (&polylog_log::Category, &polylog_log::EventType) =
                (category, event_type);
            json!({ "bool": { "filter": [
                { "term": { "aggregateType": category.as_str() } },
                { "term": { "eventType": event_type.as_str() } },
            ] } })
        };
        filter.push(match kinds.is_empty() {
            true => json!({ "match_none": {} }),
            false => json!({ "bool": { "should": kinds.iter().map(kind).collect::<Vec<_>>() } }),
        });
    }
    if !sought.streams.is_empty() {
        filter.push(json!({ "terms": { "stream": texts(sought.streams.iter()) } }));
    }
    if let Some(id) = &sought.correlation_id {
        filter.push(json!({ "term": { "correlationId": id } }));
    }
    let words = sought.words.as_ref().map(Words::iter).into_iter().flatten();
    filter.extend(words.map(|word| json!({ "term": { "searchText": word } })));
    filter
        .extend(sought.metadata.iter().map(|(name, value)| json!({ "term": { "said": said(name, value) } })));
    // the log's own
    json!({ "bool": { "filter": filter, "must_not": [{ "prefix": { "eventType": "$" } }] } })
}

fn texts<T: ToString>(names: impl Iterator<Item = T>) -> Vec<String> {
    names.map(|name| name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_members_have_the_same_term() {
        let (long, longer) = ("x".repeat(LONGEST_TERM), "x".repeat(LONGEST_TERM + 1));
        let members =
            [("a", "b:c"), ("a\":b", "c"), ("a", &long), ("a", &longer), ("b", &long), ("", ""), ("é", "1")];
        let terms: std::collections::BTreeSet<String> =
            members.iter().map(|(name, value)| said(name, value)).collect();
        assert_eq!(terms.len(), members.len(), "{terms:?}");
        assert!(terms.iter().all(|term| term.len() <= LONGEST_TERM + 100));
        for (name, value) in members {
            let known = value_said(name, &said(name, value)).map(str::to_owned);
            assert!(known.is_none_or(|known| known == value), "{name} {value}");
        }
        assert_eq!(value_said("a", "\"a\":b:c"), Some("b:c"));
        assert_eq!(pattern("a.b").as_deref(), Some("\\\"a\\.b\\\"[:#].*"));
        assert_eq!(pattern(&"x".repeat(LONGEST_NAME + 1)), None);
    }

    #[test]
    fn words_that_the_server_would_split_are_not_asked_for() {
        let sought = |text: &str| Sought { words: Words::parse(text).ok(), ..Sought::default() };
        assert_eq!(parts(&sought("eur 100.00"), &[]), Some(vec![Part::Kinds, Part::Text]));
        assert_eq!(parts(&Sought::default(), &["n".into()]), Some(vec![Part::Kinds, Part::Metadata]));
        let tied = sought("\u{1c}\u{200d}\u{1f170}");
        assert!(tied.words.is_none() || parts(&tied, &[]).is_none(), "{tied:?}");
    }
}
