//! Commands as an administrator's shell takes them: extended JSON, with the fields in their order.

use base64::{Engine, engine::general_purpose::STANDARD};
use mongodb::bson::{Bson, Document};
use polylog_log::{Failure, Step, StepClass};

/// What stands around a command, so that MongoDB's shell takes it.
const BEFORE: &str = "db.runCommand(EJSON.deserialize(";
const AFTER: &str = "))";

/// A step that is a command.
pub(super) fn step(class: StepClass, summary: String, command: &Document) -> Step {
    Step { class, summary, statement: format!("{BEFORE}{}{AFTER}", object(command)) }
}

/// A command for a database, whichever is in use.
pub(super) fn shell(database: &str, command: &Document) -> String {
    let database = text(database);
    format!("db.getSiblingDB({database}).runCommand(EJSON.deserialize({}{AFTER}", object(command))
}

/// The command of a step.
pub(super) fn command(step: &Step) -> Result<Document, Failure> {
    let unreadable = || Failure::Damaged(format!("not a command of ours: {}", step.statement));
    let json = step.statement.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER));
    serde_json::from_str(json.ok_or_else(unreadable)?).map_err(|_| unreadable())
}

fn object(document: &Document) -> String {
    let members = document.iter().map(|(name, value)| format!("{}:{}", text(name), json(value)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json(value: &Bson) -> String {
    match value {
        Bson::Document(document) => object(document),
        Bson::Array(elements) => format!("[{}]", elements.iter().map(json).collect::<Vec<_>>().join(",")),
        Bson::String(string) => text(string),
        Bson::Int64(number) => format!(r#"{{"$numberLong":"{number}"}}"#),
        Bson::Binary(binary) => {
            let (base64, subtype) = (STANDARD.encode(&binary.bytes), u8::from(binary.subtype));
            format!(r#"{{"$binary":{{"base64":"{base64}","subType":"{subtype:02x}"}}}}"#)
        }
        Bson::Null | Bson::Boolean(_) | Bson::Int32(_) => value.to_string(),
        // our commands hold nothing else
        other => text(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use uuid::Uuid;

    use super::*;
    use crate::fields::{binary, uuid};

    #[test]
    fn a_command_comes_back_as_it_was() {
        let inner = doc! { "b": 1_i32, "a": [Bson::Null, true, "x\"y\u{1f980}"], "i": -5_i64 };
        let sent = doc! { "z": inner, "a": uuid(Uuid::from_u128(7)), "m": binary(&[0, 255]), "n": i64::MAX };
        let step = step(StepClass::Additive, String::new(), &sent);
        assert_eq!(command(&step).expect("a command"), sent);
    }
}
