use std::{collections::HashMap, sync::Arc};

use cel::{Context, Program, Value};
use polylog_log::{Event, NewEvent};
use regex::Regex;

use super::check;

/// Longest expression, in bytes; with the limits on macros and additions it bounds what one event can cost.
const LONGEST: usize = 1_024;
/// Stack for the parser, in bytes; an unoptimised build needs 5 MiB for the deepest expression.
const PARSER_STACK: usize = 16 << 20;
/// Largest compiled form of a pattern, in bytes.
const PATTERN_SIZE: usize = 256 << 10;
/// Most operators and dots: the parser calls itself for each.
const MOST_OPERATORS: usize = 96;
/// Most brackets open at once, and most `?`: the parser and the evaluation call themselves for each.
const DEEPEST: usize = 16;

/// Fields of `event` beside `data` and `metadata`.
pub(super) const FIELDS: &[&str] = &[
    "position",
    "stream",
    "category",
    "aggregateId",
    "version",
    "id",
    "type",
    "contentType",
    "correlationId",
    "causationId",
    "time",
    "recordedAt",
];

/// What an expression is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A recorded event: the variable `event`.
    Event,
    /// An event that is about to be recorded, without its data: the variables [`ROUTE_NAMES`].
    Route,
}

/// Variables of a route's condition.
pub(super) const ROUTE_NAMES: &[&str] = &["type", "stream", "category", "metadata"];

/// A CEL expression over `event`, compiled once.
pub(crate) struct When {
    program: Program,
    uses_data: bool,
    uses_metadata: bool,
    functions: Context<'static>,
}

impl std::fmt::Debug for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("When").finish_non_exhaustive()
    }
}

impl When {
    /// Compiles an expression; says what is wrong with it.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        Self::compile_about(text, About::Event)
    }

    /// The same, for a route's condition.
    pub(crate) fn compile_route(text: &str) -> Result<Self, String> {
        Self::compile_about(text, About::Route)
    }

    fn compile_about(text: &str, about: About) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it may have {LONGEST} bytes, this one has {}", text.len()));
        }
        if operators(text) > MOST_OPERATORS {
            return Err(format!("it may have {MOST_OPERATORS} operators and dots, this one has more"));
        }
        if deepest(text) > DEEPEST || text.matches('?').count() > DEEPEST {
            return Err(format!("it may be nested {DEEPEST} deep, this one is deeper"));
        }
        let program = parse(text)?;
        let found = check::check(program.expression(), about)?;
        let mut patterns = HashMap::new();
        for pattern in found.patterns {
            let compiled = regex::RegexBuilder::new(&pattern)
                .size_limit(PATTERN_SIZE)
                .build()
                .map_err(|error| format!("pattern {pattern:?}: {error}"))?;
            patterns.insert(pattern, compiled);
        }
        let functions = functions(patterns);
        Ok(Self { program, uses_data: found.uses_data, uses_metadata: found.uses_metadata, functions })
    }

    /// Whether the expression holds. What cannot be evaluated (a field that is not there, a comparison of a text with a
    /// number) does not hold.
    pub(crate) fn holds(&self, event: &Event) -> bool {
        let mut scope = self.functions.new_inner_scope();
        scope.add_variable_from_value("event", self.value_of(event));
        matches!(self.program.execute(&scope), Ok(Value::Bool(true)))
    }

    /// Whether a route's condition holds for an event that is about to be recorded.
    pub(crate) fn holds_for(&self, event: &NewEvent, stream: &str, category: &str) -> bool {
        let text = |text: &str| Value::String(Arc::new(text.to_owned()));
        let mut scope = self.functions.new_inner_scope();
        scope.add_variable_from_value("type", text(event.event_type.as_str()));
        scope.add_variable_from_value("stream", text(stream));
        scope.add_variable_from_value("category", text(category));
        if self.uses_metadata {
            let metadata = event.metadata.as_deref().and_then(from_json);
            scope.add_variable_from_value(
                "metadata",
                metadata.unwrap_or(Value::from(HashMap::<String, Value>::new())),
            );
        }
        matches!(self.program.execute(&scope), Ok(Value::Bool(true)))
    }

    fn value_of(&self, event: &Event) -> Value {
        let text = |text: &str| Value::String(Arc::new(text.to_owned()));
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let mut fields: HashMap<String, Value> = HashMap::with_capacity(14);
        let mut put = |name: &str, value| fields.insert(name.into(), value);
        put("position", number(event.position.get()));
        put("stream", text(event.stream.as_str()));
        put("category", text(event.category.as_str()));
        put("aggregateId", text(event.aggregate_id.as_str()));
        put("version", number(event.version.get()));
        put("id", text(&event.id.to_string()));
        put("type", text(event.event_type.as_str()));
        put("contentType", text(&event.content_type));
        put("time", text(&event.time.to_string()));
        put("recordedAt", text(&event.recorded_at.to_string()));
        for (name, id) in [("correlationId", &event.correlation_id), ("causationId", &event.causation_id)] {
            if let Some(id) = id {
                put(name, text(id));
            }
        }
        if self.uses_data && polylog_api::is_json(&event.content_type) {
            event.data.as_deref().and_then(from_json).and_then(|data| put("data", data));
        }
        if self.uses_metadata {
            event.metadata.as_deref().and_then(from_json).and_then(|metadata| put("metadata", metadata));
        }
        Value::from(fields)
    }
}

/// The parser calls itself about ten functions deep for each bracket or dot, more than a worker's stack holds: so it gets
/// a thread of its own for the moment, with a stack that is large enough for the longest expression.
fn parse(text: &str) -> Result<Program, String> {
    std::thread::scope(|threads| {
        let parser = std::thread::Builder::new().name("filter".into()).stack_size(PARSER_STACK);
        let compile = || Program::compile(text).map_err(|errors| errors.to_string());
        let thread = parser.spawn_scoped(threads, compile).map_err(|error| error.to_string())?;
        thread.join().unwrap_or_else(|_| Err("it cannot be parsed".into()))
    })
}

/// Number of operators and dots, including those in texts: that can only make it stricter.
fn operators(text: &str) -> usize {
    text.bytes().filter(|byte| b".[-+*/%<>=!&|".contains(byte)).count()
}

/// Most brackets open at once. Brackets in texts count too: that can only make it stricter.
fn deepest(text: &str) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// JSON as CEL sees it; `None` where no value can hold it (1e400, a lone surrogate, nesting over 128).
fn from_json(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(json).ok().map(value)
}

/// Whole numbers become `int` where they fit, so that `== 2` holds for the 2 in the data.
fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::String(text) => Value::String(Arc::new(text)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (_, Some(number)) => Value::UInt(number),
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::Array(elements) => Value::List(Arc::new(elements.into_iter().map(value).collect())),
        Json::Object(members) => {
            let members = members.into_iter().map(|(name, member)| (name, value(member)));
            Value::from(members.collect::<HashMap<String, Value>>())
        }
    }
}

fn functions(patterns: HashMap<String, Regex>) -> Context<'static> {
    let mut context = Context::default();
    context.add_function(
        "matches",
        move |cel::extractors::This(text): cel::extractors::This<Arc<String>>, pattern: Arc<String>| {
            patterns.get(pattern.as_str()).is_some_and(|pattern| pattern.is_match(&text))
        },
    );
    context
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;

    fn holds(expression: &str) -> bool {
        let event = event(r#"{"amount":100,"items":[{"sku":"a","n":1},{"sku":"b","n":2}],"name":"Ada"}"#);
        When::compile(expression).unwrap_or_else(|reason| panic!("{expression}: {reason}")).holds(&event)
    }

    #[test]
    fn expressions_see_the_event() {
        for good in [
            "event.type == 'Paid'",
            "event.data.amount >= 100 && event.category == 'Payment'",
            "event.data.items.exists(i, i.sku == 'b' && i.n > 1)",
            "event.data.items.all(i, i.n < 10)",
            "event.data.name.matches('^A.a$')",
            "has(event.data.name) && !has(event.data.missing)",
            "event.type in ['Paid', 'Other']",
            "event.metadata.by == 'me'",
            "event.data.items[1].n == 2",
            "event.position == 7 && event.version == 3",
            "timestamp(event.time) < timestamp('1970-01-01T00:00:01.5Z')",
        ] {
            assert!(holds(good), "{good}");
        }
        for bad in
            ["event.data.amount > 100", "event.data.missing == 1", "event.data.name > 5", "event.data.name"]
        {
            assert!(!holds(bad), "{bad}");
        }
    }

    #[test]
    fn what_costs_too_much_or_means_nothing_is_refused() {
        let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
        let nots = format!("{}true", "!".repeat(60));
        let ors = ["true"; 31].join("||");
        let minus = format!("{}1 == 1", "-".repeat(60));
        let adds = format!("size({}) > 0", ["event.data.items"; 10].join("+"));
        for bad in [
            "",
            "event.",
            "evnt.type == 'x'",
            "event.nonsense == 1",
            "event.data.items.exists(i, event.data.items.exists(j, j == i))",
            "event.data.items.exists(i, i in event.data.items)",
            "event.data.items.map(i, i) == []",
            "event.data.items.filter(i, i.n > 1).size() > 0",
            "event.data.name.matches(event.data.pattern)",
            "event.data.name.matches('(')",
            "event.data.name.matches('a{1000}{1000}')",
            "nonsense(event.data.name)",
            &deep,
            &adds,
            &"x".repeat(2000),
        ] {
            assert!(When::compile(bad).is_err(), "{bad}");
        }
        let selects = format!("event.data{} == 1", ".a".repeat(60));
        let indexes = format!("event.data{} == 1", "[0]".repeat(60));
        let chain = format!("1{} == 1", "-1".repeat(20));
        let calls = format!("event.data{}", ".size()".repeat(60));
        let ands = format!("true{}", "&&true".repeat(31));
        let compares = format!("1{}", "<1".repeat(60));
        let choices = format!("{}true", "true?true:".repeat(16));
        let both = format!("{}event.data{} == 1{}", "(".repeat(16), ".a".repeat(20), ")".repeat(16));
        let deepest = format!("{}event.data{} == 1{}", "(".repeat(16), ".a".repeat(90), ")".repeat(16));
        let lists = format!("{}1{} == 1", "[".repeat(16), "]".repeat(16));
        for long in
            [both, deepest, lists, nots, ors, minus, selects, indexes, chain, calls, ands, compares, choices]
        {
            // whether it is refused or evaluated, the stack must hold
            if let Ok(when) = When::compile(&long) {
                when.holds(&event("{}"));
            }
        }
    }
}
