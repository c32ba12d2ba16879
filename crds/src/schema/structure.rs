//! Types, required fields, patterns, lengths, bounds and enumerations.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::{FieldPath, Segment, Violation, ViolationKind};

pub(super) struct Structure(jsonschema::Validator);

impl Structure {
    pub(super) fn compile(schema: &Value) -> Result<Self, Box<jsonschema::ValidationError<'static>>> {
        jsonschema::draft202012::new(schema).map(Self).map_err(Box::new)
    }

    pub(super) fn check(&self, object: &Value) -> Vec<Violation> {
        self.0
            .iter_errors(object)
            .map(|error| {
                let path = error.instance_path().iter().map(|segment| match segment {
                    LocationSegment::Property(name) => Segment::Field(name.into_owned()),
                    LocationSegment::Index(index) => Segment::Item(index),
                });
                let mut path: FieldPath = path.collect();
                if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind() {
                    path = path.field(name);
                }
                Violation { path, kind: ViolationKind::Structure, message: message(&error) }
            })
            .collect()
    }
}

fn message(error: &jsonschema::ValidationError<'_>) -> String {
    let instance = error.instance().as_ref();
    match error.kind() {
        ValidationErrorKind::Required { .. } => "is required".to_owned(),
        ValidationErrorKind::Type { kind: TypeKind::Single(expected) } => {
            let hint = if expected.to_string() == "string" && !instance.is_object() && !instance.is_array() {
                "; write it in quotes"
            } else {
                ""
            };
            format!("is {} where {expected} is expected{hint}", shown(instance))
        }
        ValidationErrorKind::AnyOf { .. } => {
            format!("is {} where a number or a text is expected", shown(instance))
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().into_iter().flatten().map(shown).collect::<Vec<_>>();
            format!("is {}, not one of {}", shown(instance), options.join(", "))
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!("is {}, which does not match {pattern}", shown(instance))
        }
        ValidationErrorKind::MaxLength { limit } => format!("has more than {limit} characters"),
        ValidationErrorKind::MaxItems { limit } => format!("has more than {limit} items"),
        ValidationErrorKind::MinItems { limit } => format!("has fewer than {limit} items"),
        ValidationErrorKind::MaxProperties { limit } => format!("has more than {limit} fields"),
        ValidationErrorKind::Minimum { limit } => format!("is {}, less than {limit}", shown(instance)),
        ValidationErrorKind::Maximum { limit } => format!("is {}, more than {limit}", shown(instance)),
        _ => error.to_string(),
    }
}

/// A value in a message: short, whatever it is.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.chars().count() > 60 => {
            format!("{:?}…", text.chars().take(60).collect::<String>())
        }
        other => other.to_string(),
    }
}
