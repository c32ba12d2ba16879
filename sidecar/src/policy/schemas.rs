use std::collections::{BTreeMap, HashMap};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::{PolicyError, UnknownTypes, Validation, ValidationMode};

/// Compiled JSON Schemas by event type.
#[derive(Debug)]
pub struct Schemas {
    validation: Validation,
    by_type: HashMap<String, Validator>,
}

/// Data that breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The event's type.
    pub event_type: String,
    /// JSON pointer to the value that is wrong.
    pub pointer: String,
    /// The schema's keyword that refuses it.
    pub keyword: String,
}

/// Largest compiled form of one pattern in a schema, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

impl Schemas {
    /// Compiles schemas; none may refer to anything outside itself.
    pub fn compile(validation: Validation, schemas: &BTreeMap<String, Value>) -> Result<Self, PolicyError> {
        let mut by_type = HashMap::new();
        // linear time whatever the pattern; patterns with look-around are refused here
        let options = jsonschema::options()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE))
            .offline();
        for (event_type, schema) in schemas {
            let refused = |error: jsonschema::ValidationError<'_>| PolicyError::Schema {
                event_type: event_type.clone(),
                reason: error.to_string(),
            };
            by_type.insert(event_type.clone(), options.build(schema).map_err(refused)?);
        }
        Ok(Self { validation, by_type })
    }

    /// What happens to data that breaks its schema.
    pub fn mode(&self) -> ValidationMode {
        self.validation.mode
    }

    /// The first thing that is wrong with an event's data. Always fine where the mode is Ignore.
    pub fn check(&self, event_type: &str, is_json: bool, data: &[u8]) -> Result<(), Violation> {
        if self.validation.mode == ValidationMode::Ignore {
            return Ok(());
        }
        let violation = |pointer: String, keyword: &str| Violation {
            event_type: event_type.into(),
            pointer,
            keyword: keyword.into(),
        };
        let Some(validator) = self.by_type.get(event_type) else {
            return match self.validation.unknown_types {
                UnknownTypes::Allow => Ok(()),
                UnknownTypes::Refuse => Err(violation(String::new(), "unknownTypes")),
            };
        };
        if !is_json {
            return Err(violation(String::new(), "contentType"));
        }
        // legal JSON that no value can hold (1e400, lone surrogates, nesting over 128) cannot be checked, so it does not pass
        let value: Value =
            serde_json::from_slice(data).map_err(|_| violation(String::new(), "representable"))?;
        validator
            .validate(&value)
            .map_err(|error| violation(error.instance_path().to_string(), error.kind().keyword()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schemas(mode: ValidationMode, unknown_types: UnknownTypes) -> Schemas {
        let schema = json!({"type": "object", "required": ["amount"],
            "properties": {"amount": {"type": "string", "pattern": "^[0-9]+$"}}});
        let validation = Validation { mode, unknown_types };
        Schemas::compile(validation, &BTreeMap::from([("Paid".into(), schema)])).expect("a good schema")
    }

    #[test]
    fn a_violation_names_pointer_and_keyword() {
        let schemas = schemas(ValidationMode::Enforce, UnknownTypes::Allow);
        assert_eq!(schemas.check("Paid", true, br#"{"amount":"1"}"#), Ok(()));
        let violation = schemas.check("Paid", true, br#"{"amount":"x"}"#).expect_err("not a number");
        assert_eq!((&violation.pointer[..], &violation.keyword[..]), ("/amount", "pattern"));
        for (data, keyword) in [(&b"{}"[..], "required"), (b"1e400", "representable"), (b"[]", "type")] {
            assert_eq!(schemas.check("Paid", true, data).expect_err("wrong").keyword, keyword);
        }
        assert_eq!(schemas.check("Paid", false, b"x").expect_err("no JSON").keyword, "contentType");
        assert_eq!(schemas.check("Other", true, b"{}"), Ok(()));
    }

    #[test]
    fn unknown_types_and_mode_are_obeyed() {
        let strict = schemas(ValidationMode::Enforce, UnknownTypes::Refuse);
        assert_eq!(strict.check("Other", true, b"{}").expect_err("unknown").keyword, "unknownTypes");
        let ignoring = schemas(ValidationMode::Ignore, UnknownTypes::Refuse);
        assert_eq!(ignoring.check("Other", true, b"{}"), Ok(()));
        assert_eq!(ignoring.check("Paid", true, b"{}"), Ok(()));
    }

    #[test]
    fn a_schema_that_refers_elsewhere_or_is_none_is_refused() {
        for bad in [json!({"$ref": "https://example.com/x.json"}), json!({"type": "nonsense"})] {
            let compiled = Schemas::compile(Validation::default(), &BTreeMap::from([("T".into(), bad)]));
            assert!(matches!(compiled, Err(PolicyError::Schema { event_type, .. }) if event_type == "T"));
        }
    }
}
