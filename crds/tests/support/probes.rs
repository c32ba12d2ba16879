//! Objects that differ from a right one in one field, with values that are right, wrong, or at a bound.

use serde_json::{Value, json};

/// An object with one value put somewhere.
pub(crate) struct Probe {
    /// Where in the schema, as `spec.sources[*].name`.
    pub(crate) at: String,
    pub(crate) value: Value,
    pub(crate) object: Value,
}

/// Every field of the spec, each with each value that could matter there.
pub(crate) fn probes(schema: &Value, base: &Value) -> Vec<Probe> {
    let mut probes = Vec::new();
    walk(&schema["properties"]["spec"], &mut vec![Step::Field("spec".into())], &mut |node, steps| {
        for value in values(node) {
            let mut object = base.clone();
            put(&mut object, steps, value.clone());
            probes.push(Probe { at: shown(steps), value, object });
        }
    });
    probes
}

#[derive(Clone)]
enum Step {
    Field(String),
    /// The first item.
    Item,
}

fn walk(node: &Value, steps: &mut Vec<Step>, visit: &mut impl FnMut(&Value, &[Step])) {
    visit(node, steps);
    for (name, property) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        steps.push(Step::Field(name.clone()));
        walk(property, steps, visit);
        steps.pop();
    }
    for (step, place) in [(Step::Item, "items"), (Step::Field("key".into()), "additionalProperties")] {
        if let Some(inner) = node.get(place).filter(|inner| inner.is_object()) {
            steps.push(step);
            walk(inner, steps, visit);
            steps.pop();
        }
    }
}

fn put(object: &mut Value, steps: &[Step], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *object = value;
        return;
    };
    let inner = match step {
        Step::Field(name) => {
            if !object.is_object() {
                *object = json!({});
            }
            &mut object[name.as_str()]
        }
        Step::Item => {
            if object.as_array().is_none_or(Vec::is_empty) {
                *object = json!([null]);
            }
            &mut object[0]
        }
    };
    put(inner, rest, value);
}

fn shown(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Field(name) if text.is_empty() => text = name.clone(),
            Step::Field(name) => text = format!("{text}.{name}"),
            Step::Item => text += "[*]",
        }
    }
    text
}

fn values(node: &Value) -> Vec<Value> {
    let mut values =
        vec![Value::Null, json!(true), json!(0), json!(1.5), json!(""), json!("a"), json!([]), json!({})];
    values.extend([json!({"unknown": 1}), json!([null]), json!(["a", "a"])]);
    values.extend(node.get("enum").and_then(Value::as_array).into_iter().flatten().cloned());
    for bound in ["minimum", "maximum"] {
        if let Some(bound) = node.get(bound).and_then(Value::as_i64) {
            values.extend([json!(bound - 1), json!(bound), json!(bound + 1)]);
        }
    }
    if let Some(longest) = node.get("maxLength").and_then(Value::as_u64).filter(|longest| *longest < 100_000)
    {
        let longest = usize::try_from(longest).expect("a small number");
        for unit in ["a", "ü", "😀"] {
            values.extend([json!(unit.repeat(longest)), json!(unit.repeat(longest + 1))]);
        }
    }
    if node.get("type").and_then(Value::as_str) == Some("string") || node.get("pattern").is_some() {
        let texts = ["a\n", " a", "a b", "A-1", "a.b", "*", "1h30m", "5Mi", "0", "é", "\u{0}"];
        values.extend(texts.map(Value::from));
    }
    if let Some(most) = node.get("maxItems").and_then(Value::as_u64).filter(|most| *most <= 64) {
        for number in [most, most + 1] {
            values.push((0..number).map(|item| json!(format!("a{item}"))).collect());
        }
    }
    values
}
