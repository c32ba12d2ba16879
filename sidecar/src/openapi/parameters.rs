use serde_json::{Map, Value, json};

const LARGEST: u64 = (1 << 53) - 1;
/// Names of streams, types and the like; their length is counted in bytes, so the characters' bound is only the upper one.
const NAME: &str =
    r"^[^\u0000-\u0020\u007f-\u009f$]([^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u009f])?$";
const DURATION: &str = "^([0-9]+(ms|s|m|h))+$";
const TOKEN: &str = "^[A-Za-z0-9_-]{40}$";

/// A reference to a parameter.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// A name's schema.
pub(super) fn name_schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": NAME})
}

/// All parameters by the names that operations refer to.
pub(super) fn parameters() -> Value {
    let mut all = Map::new();
    let mut put = |key: &str, name: &str, place: &str, description: &str, schema: Value| {
        let parameter = json!({
            "name": name, "in": place, "required": place == "path",
            "description": description, "schema": schema,
        });
        all.insert(key.into(), parameter);
    };
    let number = |least: u64, most: u64| json!({"type": "integer", "minimum": least, "maximum": most});
    let one_of = |words: &[&str]| json!({"type": "string", "enum": words});
    let list = |items: Value| json!({"type": "array", "items": items, "minItems": 1, "maxItems": 100});
    let text = json!({"type": "string", "minLength": 1});
    let item = json!({"type": "string", "minLength": 1, "pattern": "^[^,]+$"});
    let time = json!({"type": "string", "format": "date-time"});

    put("store", "store", "path", "A store's name", text.clone());
    put("stream", "stream", "path", "A stream's name, percent-encoded", name_schema());
    put("id", "id", "path", "An event's id", json!({"type": "string", "format": "uuid"}));

    put(
        "acks",
        "acks",
        "query",
        "How many sources must have it before the answer; can only raise the store's level",
        json!({"type": "string", "pattern": "^([1-9]|[Mm]ajority|[Aa]ll)$"}),
    );
    put(
        "missed",
        "missed",
        "query",
        "On a version conflict, show up to this many events that the caller has not seen",
        number(0, 100),
    );
    put(
        "expectedVersion",
        "expectedVersion",
        "query",
        "With CloudEvents only, whose form has no place for it: what every stream must be at",
        json!({"type": "string", "pattern": "^([0-9]{1,15}|any|noStream|exists)$"}),
    );
    put("fromVersion", "from", "query", "The first version (the highest, when backward)", number(0, LARGEST));
    put(
        "fromPosition",
        "from",
        "query",
        "The first position (the highest, when backward)",
        number(0, LARGEST),
    );
    put("direction", "direction", "query", "The way to read", one_of(&["forward", "backward"]));
    put(
        "limit",
        "limit",
        "query",
        "At most this many events; an answer also ends at 1 MiB",
        number(1, 1_000),
    );
    put("since", "since", "query", "Only events that happened at this time or later", time.clone());
    put("until", "until", "query", "Only events that happened before this time", time.clone());
    put("types", "types", "query", "Only these event types", list(name_schema()));
    put("typePrefix", "typePrefix", "query", "Only event types that begin so", list(item.clone()));
    put(
        "categories",
        "categories",
        "query",
        "Only these categories; * stands for any run of characters",
        list(item.clone()),
    );
    put("streams", "streams", "query", "Only these streams", list(name_schema()));
    put("correlationId", "correlationId", "query", "Only events of this correlation", text);
    put(
        "filter",
        "filter",
        "query",
        "Only events for which this CEL expression over `event` holds",
        json!({"type": "string", "minLength": 1, "maxLength": 1024}),
    );
    put("includeSystem", "includeSystem", "query", "Also the log's own events", json!({"type": "boolean"}));
    put("onlySource", "source", "query", "Only of this source", name_schema());
    put(
        "afterPlace",
        "after",
        "query",
        "Behind this place: `next` of an earlier answer",
        json!({"type": "string"}),
    );
    put("lane", "lane", "query", "There is one", number(0, 0));
    put(
        "consistency",
        "consistency",
        "query",
        "How fresh the answer must be",
        one_of(&["strong", "session", "bounded", "eventual"]),
    );
    put(
        "token",
        "token",
        "query",
        "The answer must hold what this token's answer held",
        json!({"type": "string", "pattern": TOKEN}),
    );
    put(
        "maxLag",
        "maxLag",
        "query",
        "With consistency=bounded: events, or a duration like 2s",
        json!({"type": "string", "pattern": "^([0-9]{1,15}|([0-9]{1,9}(ms|s|m|h))+)$"}),
    );
    put("fromStart", "from", "query", "Where to begin", one_of(&["beginning", "now"]));
    put("after", "after", "query", "Begin after this position", number(0, LARGEST));
    put(
        "sinceRecorded",
        "since",
        "query",
        "Begin with the first event recorded at this time or later; a time to come: nothing is shown until then",
        time,
    );
    put(
        "untilRecorded",
        "until",
        "query",
        "End with this position, or before what was recorded at this time",
        json!({"type": "string", "minLength": 1}),
    );
    put(
        "startToken",
        "token",
        "query",
        "Begin after this token",
        json!({"type": "string", "pattern": TOKEN}),
    );

    put(
        "q",
        "q",
        "query",
        "Only events that hold all of these words, in data or metadata, in any order and case",
        json!({"type": "string", "minLength": 1, "maxLength": 1024}),
    );
    put(
        "metadata",
        "metadata",
        "query",
        "metadata.<name>=<value>: only events whose metadata says this under this name",
        json!({
            "type": "object", "maxProperties": 16, "additionalProperties": false,
            "patternProperties": {"^metadata\\..+$": {"type": "string"}},
        }),
    );
    put(
        "sort",
        "sort",
        "query",
        "The order: what happened last, or first; what fits best; as the log has it, or backward",
        one_of(&["-time", "time", "score", "position", "-position"]),
    );
    put(
        "page",
        "page",
        "query",
        "What the page before gave as next",
        json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{96}$"}),
    );
    put(
        "interval",
        "interval",
        "query",
        "Count by these",
        one_of(&["minute", "hour", "day", "week", "month"]),
    );
    put(
        "tz",
        "tz",
        "query",
        "The IANA time zone in which intervals begin; absent = UTC",
        json!({"type": "string", "examples": ["Europe/Paris"]}),
    );
    let by = json!({"type": "string", "pattern": "^(type|category|metadata\\.[^,]+)$"});
    put(
        "groupBy",
        "groupBy",
        "query",
        "Count by each of these: type, category, metadata.<name>",
        json!({"type": "array", "items": by, "minItems": 1, "maxItems": 8, "uniqueItems": true}),
    );
    put("top", "top", "query", "How many of each group are shown, the largest first", number(1, 1_000));

    let visible = json!({"type": "string", "pattern": "^[!-~]{1,200}$"});
    put("idempotencyKey", "Idempotency-Key", "header", "Makes a retry without event ids harmless", visible);
    let id = json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]([ -~]*[!-~])?$"});
    put("correlationIdHeader", "Polylog-Correlation-Id", "header", "For events that name none", id.clone());
    put("causationIdHeader", "Polylog-Causation-Id", "header", "For events that name none", id);
    put(
        "traceparent",
        "traceparent",
        "header",
        "W3C trace context; ignored where it is not well formed",
        json!({"type": "string"}),
    );
    put(
        "timeout",
        "Polylog-Timeout",
        "header",
        "How long the caller waits; at most 5s count",
        json!({"type": "string", "pattern": DURATION}),
    );
    put(
        "tokenHeader",
        "Polylog-Token",
        "header",
        "As the query's token",
        json!({"type": "string", "pattern": TOKEN}),
    );
    put(
        "lastEventId",
        "Last-Event-ID",
        "header",
        "Go on after this; wins over the query",
        json!({"type": "string", "pattern": TOKEN}),
    );
    all["metadata"]["style"] = json!("form");
    all["metadata"]["explode"] = json!(true);
    for list in ["types", "typePrefix", "categories", "streams", "groupBy"] {
        all[list]["style"] = json!("form");
        all[list]["explode"] = json!(false);
    }
    Value::Object(all)
}
