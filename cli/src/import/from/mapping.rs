use std::{collections::BTreeMap, path::Path};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::part::Part;

/// Where a part of an event comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// A field; dots lead into objects.
    Field(String),
    /// The same for every event.
    Constant(String),
}

/// What a number in a time counts, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// What the field of the data holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DataForm {
    /// The data itself.
    Value,
    /// Text that is JSON.
    Parsed,
    /// Bytes, in hexadecimal digits.
    Hex,
    /// Bytes, in base 64.
    Base64,
}

/// Which field holds what, as far as it was said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mapping {
    pub(crate) parts: BTreeMap<Part, Origin>,
    /// The version of a stream's first event.
    pub(crate) first_version: Option<u64>,
    /// Of times that name none.
    pub(crate) time_zone: Option<String>,
    pub(crate) time_unit: Option<TimeUnit>,
    pub(crate) data_form: Option<DataForm>,
}

/// What is wrong with a mapping; correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MappingError {
    #[error("mapping: {0}")]
    Unreadable(String),
    #[error("mapping: there is no {0:?}; there are {1}")]
    Unknown(String, String),
    #[error("mapping: {name} is {value:?}; it must be {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },
    #[error("mapping: there is no field {field:?} for {part}; there are {fields}")]
    NoField { part: &'static str, field: String, fields: String },
    #[error("no field is known to hold an event's {part}: say --map {part}=FIELD; there are {fields}{hint}")]
    Missing { part: &'static str, fields: String, hint: &'static str },
}

const SETTINGS: [&str; 4] = ["firstVersion", "timeZone", "timeUnit", "dataForm"];

impl Mapping {
    /// A file, if there is one, and what was said beside it, which wins.
    pub(crate) fn read(file: Option<&Path>, said: &[(String, String)]) -> Result<Self, MappingError> {
        let mut mapping = Self::default();
        if let Some(path) = file {
            let unreadable = |error: &dyn std::fmt::Display| {
                MappingError::Unreadable(format!("{}: {error}", path.display()))
            };
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
            for (name, value) in pairs(&text).map_err(|error| unreadable(&error))? {
                mapping.set(&name, value)?;
            }
        }
        for (name, value) in said {
            mapping.set(name, value.clone())?;
        }
        Ok(mapping)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), MappingError> {
        if let Some(part) = Part::ALL.into_iter().find(|part| part.name() == name) {
            let origin = match value.strip_prefix('=') {
                Some(constant) => Origin::Constant(constant.to_owned()),
                None => Origin::Field(value),
            };
            self.parts.insert(part, origin);
            return Ok(());
        }
        let wrong = |name, value, expected| Err(MappingError::Value { name, value, expected });
        match name {
            "firstVersion" => match value.parse() {
                Ok(first) => self.first_version = Some(first),
                Err(_) => return wrong("firstVersion", value, "a number"),
            },
            "timeZone" => match TimeZone::get(&value) {
                Ok(_) => self.time_zone = Some(value),
                Err(_) => return wrong("timeZone", value, "a time zone like UTC or Europe/Paris"),
            },
            "timeUnit" => {
                self.time_unit = Some(match value.as_str() {
                    "s" => TimeUnit::Seconds,
                    "ms" => TimeUnit::Milliseconds,
                    "us" => TimeUnit::Microseconds,
                    _ => return wrong("timeUnit", value, "s, ms or us"),
                });
            }
            "dataForm" => {
                self.data_form = Some(match value.as_str() {
                    "value" => DataForm::Value,
                    "parsed" => DataForm::Parsed,
                    "hex" => DataForm::Hex,
                    "base64" => DataForm::Base64,
                    _ => return wrong("dataForm", value, "value, parsed, hex or base64"),
                });
            }
            _ => {
                let known = Part::ALL.map(Part::name).into_iter().chain(SETTINGS);
                return Err(MappingError::Unknown(name.into(), known.collect::<Vec<_>>().join(", ")));
            }
        }
        Ok(())
    }

    /// Fills in what was not said, by the names of the fields. `all` is whether there are no others.
    pub(crate) fn resolved(
        mut self,
        fields: &[String],
        all: bool,
        renumber: bool,
    ) -> Result<Self, MappingError> {
        let listed = fields.join(", ");
        let exists = |path: &str| {
            fields.iter().any(|field| path == field || path.split('.').next() == Some(field.as_str()))
        };
        for (part, origin) in &self.parts {
            let Origin::Field(path) = origin else { continue };
            if !exists(path) && (all || part.is_needed()) {
                let (part, field) = (part.name(), path.clone());
                return Err(MappingError::NoField { part, field, fields: listed });
            }
        }
        for part in Part::ALL {
            // a stream that is named has no need of a stream that is guessed
            let is_named = part == Part::Stream && self.parts.contains_key(&Part::AggregateId);
            if self.parts.contains_key(&part) || is_named {
                continue;
            }
            let used: Vec<&str> = self.fields().collect();
            let free: Vec<&str> = fields.iter().map(String::as_str).filter(|it| !used.contains(it)).collect();
            if let Some(field) = part.usual_field(&free) {
                self.parts.insert(part, Origin::Field(field.to_owned()));
            }
        }
        let missing =
            |part: Part, hint| Err(MappingError::Missing { part: part.name(), fields: listed.clone(), hint });
        for part in [Part::Type, Part::Data, Part::Time] {
            if !self.parts.contains_key(&part) {
                return missing(part, "");
            }
        }
        if !self.parts.contains_key(&Part::Stream) && !self.parts.contains_key(&Part::AggregateId) {
            return missing(Part::Stream, "; or --map aggregateId=FIELD, and aggregateType");
        }
        if !self.parts.contains_key(&Part::Version) {
            if !renumber {
                return missing(Part::Version, "; or --renumber");
            }
            if !self.parts.contains_key(&Part::Id) {
                return missing(Part::Id, "");
            }
        }
        Ok(self)
    }

    /// The fields that are used.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.values().filter_map(|origin| match origin {
            Origin::Field(field) => Some(field.as_str()),
            Origin::Constant(_) => None,
        })
    }

    /// The field of a part, if it comes from one.
    pub(crate) fn field(&self, part: Part) -> Option<&str> {
        match self.parts.get(&part)? {
            Origin::Field(field) => Some(field),
            Origin::Constant(_) => None,
        }
    }

    /// What is taken from where, for people.
    pub(crate) fn told(&self) -> String {
        let told = self.parts.iter().map(|(part, origin)| match origin {
            Origin::Field(field) => format!("{} from {field}", part.name()),
            Origin::Constant(value) => format!("{} is {value:?}", part.name()),
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

impl Part {
    /// Whether an event cannot be without it.
    fn is_needed(self) -> bool {
        use Part::{AggregateId, AggregateType, Data, Id, Stream, Time, Type, Version};
        matches!(self, Id | Stream | AggregateType | AggregateId | Version | Type | Data | Time)
    }
}

fn pairs(yaml: &str) -> Result<BTreeMap<String, String>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Number(u64),
        Text(String),
    }
    let pairs: BTreeMap<String, Scalar> = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    let text = |scalar| match scalar {
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => text,
    };
    Ok(pairs.into_iter().map(|(name, value)| (name, text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn said(pairs: &[(&str, &str)]) -> Mapping {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Mapping::read(None, &pairs).expect("good")
    }

    fn guessed(names: &[&str]) -> Vec<(&'static str, String)> {
        let mapping = Mapping::default().resolved(&fields(names), true, false).expect("everything is there");
        Part::ALL.iter().filter_map(|part| Some((part.name(), mapping.field(*part)?.to_owned()))).collect()
    }

    #[test]
    fn usual_names_need_no_mapping() {
        let names = [
            "_id",
            "eventId",
            "aggregateId",
            "aggregateType",
            "eventType",
            "eventData",
            "version",
            "timestamp",
            "correlationId",
            "causationId",
            "metadata",
        ];
        let found = guessed(&names);
        let expected = [
            ("id", "eventId"),
            ("aggregateType", "aggregateType"),
            ("aggregateId", "aggregateId"),
            ("version", "version"),
            ("type", "eventType"),
            ("data", "eventData"),
            ("metadata", "metadata"),
            ("time", "timestamp"),
            ("correlationId", "correlationId"),
            ("causationId", "causationId"),
        ];
        assert_eq!(found, expected.map(|(part, field)| (part, field.to_owned())));
        let names =
            ["id", "event_id", "stream_id", "version", "type", "payload", "created_at", "occurred_at"];
        let found = guessed(&names);
        assert_eq!(found[0], ("id", "event_id".to_owned()), "a number beside it counts something else");
        assert_eq!(found.last(), Some(&("time", "occurred_at".to_owned())));
        let found = guessed(&["_id", "stream", "version", "type", "data", "time"]);
        assert_eq!(found[0], ("id", "_id".to_owned()));
    }

    #[test]
    fn what_was_said_wins_and_its_field_is_nothing_else() {
        let names = fields(&["id", "stream_name", "type", "position", "global_position", "data", "time"]);
        let mapping = said(&[("version", "position"), ("type", "=Paid"), ("firstVersion", "0")]);
        let mapping = mapping.resolved(&names, true, false).expect("good");
        assert_eq!(mapping.field(Part::Version), Some("position"));
        assert_eq!(mapping.field(Part::Position), Some("global_position"));
        assert_eq!(mapping.parts[&Part::Type], Origin::Constant("Paid".into()));
        assert_eq!(mapping.first_version, Some(0));
        assert!(mapping.told().contains("version from position"), "{}", mapping.told());
    }

    #[test]
    fn a_file_says_the_same_and_options_win() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "id: key\nstream: a.b\nfirstVersion: 0\ndataForm: parsed\n")
            .expect("written");
        let read = Mapping::read(Some(file.path()), &[("id".into(), "other".into())]).expect("good");
        let expected = [("id", "other"), ("stream", "a.b"), ("firstVersion", "0"), ("dataForm", "parsed")];
        assert_eq!(read, said(&expected));
    }

    #[test]
    fn a_wrong_mapping_is_told() {
        let wrong = |name: &str, value: &str| {
            let said = [(name.to_owned(), value.to_owned())];
            Mapping::read(None, &said).expect_err(name).to_string()
        };
        assert!(wrong("idd", "x").contains("there are id, stream, "), "{}", wrong("idd", "x"));
        for (name, value) in
            [("firstVersion", "one"), ("timeZone", "Mars"), ("timeUnit", "m"), ("dataForm", "xml")]
        {
            assert!(wrong(name, value).contains(value), "{}", wrong(name, value));
        }
        let names = fields(&["id", "stream", "version", "type", "data", "time", "doc"]);
        let refused = |pairs: &[(&str, &str)], names: &[String]| {
            said(pairs).resolved(names, true, false).expect_err("refused").to_string()
        };
        let told = refused(&[("id", "nope")], &names);
        assert!(told.contains("\"nope\" for id") && told.contains("stream, version"), "{told}");
        assert!(said(&[("id", "doc.key")]).resolved(&names, true, false).is_ok(), "into an object");
        let told = refused(&[], &names[..5]);
        assert!(told.contains("an event's time: say --map time=FIELD"), "{told}");
        let told = refused(&[], &fields(&["id", "stream", "type", "data", "time"]));
        assert!(told.contains("--renumber"), "{told}");
        assert!(
            said(&[]).resolved(&fields(&["id", "stream", "type", "data", "time"]), true, true).is_ok(),
            "numbered by their order"
        );
        // of documents only some were seen
        assert!(said(&[("correlationId", "rare")]).resolved(&names, false, false).is_ok());
        assert!(said(&[("id", "rare")]).resolved(&names, false, false).is_err());
    }
}
