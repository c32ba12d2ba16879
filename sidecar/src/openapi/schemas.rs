use polylog_api::Code;
use serde_json::{Map, Value, json};

use super::parameters::name_schema;

const LARGEST: u64 = (1 << 53) - 1;

/// All schemas of bodies and answers.
pub(super) fn schemas() -> Value {
    let mut all = Map::new();
    let some = requests().into_iter().chain(events()).chain(answers());
    for (name, schema) in some.chain(status()).chain(administration()) {
        all.insert(name.into(), schema);
    }
    Value::Object(all)
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

fn list_of(schema: &str) -> Value {
    json!({"type": "array", "items": reference(schema)})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn number() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": LARGEST})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn attribute() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"})
}

fn requests() -> Vec<(&'static str, Value)> {
    let stream_part = |with_stream: bool| {
        let mut properties = json!({
            "expectedVersion": reference("ExpectedVersion"),
            "events": {"type": "array", "items": reference("NewEvent"), "maxItems": 10_000},
            "category": name_schema(),
            "aggregateId": name_schema(),
        });
        let mut required = vec!["expectedVersion", "events"];
        if with_stream {
            properties["stream"] = name_schema();
            required.push("stream");
        }
        object(&required, properties)
    };
    let new_event = object(
        &["type"],
        json!({
            "id": uuid(),
            "type": name_schema(),
            "data": {"description": "Kept byte for byte"},
            "dataBase64": {"type": "string", "contentEncoding": "base64", "description": "Instead of data; needs contentType"},
            "contentType": attribute(),
            "metadata": {"type": "object", "propertyNames": {"pattern": r"^([^$]|$)"}},
            "correlationId": attribute(),
            "causationId": attribute(),
            "time": time(),
        }),
    );
    let new_cloud_event = json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"}, "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1}, "type": name_schema(), "subject": text(), "time": time(),
            "datacontenttype": text(), "dataschema": text(), "data": {}, "data_base64": text(),
        },
    });
    let expected = json!({"oneOf": [number(), {"type": "string", "enum": ["any", "noStream", "exists"]}]});
    vec![
        ("ExpectedVersion", expected),
        ("NewEvent", new_event),
        ("Append", stream_part(false)),
        ("StreamAppend", stream_part(true)),
        (
            "Commit",
            object(
                &["appends"],
                json!({
                    "appends": {"type": "array", "items": reference("StreamAppend"), "minItems": 1},
                }),
            ),
        ),
        ("NewCloudEvent", new_cloud_event),
    ]
}

fn events() -> Vec<(&'static str, Value)> {
    let event = object(
        &[
            "position",
            "lane",
            "term",
            "stream",
            "category",
            "aggregateId",
            "version",
            "id",
            "type",
            "contentType",
            "time",
            "recordedAt",
            "digest",
            "dataState",
        ],
        json!({
            "position": number(), "lane": {"const": 0}, "term": number(), "stream": text(), "category": text(),
            "aggregateId": text(), "version": number(), "id": uuid(), "type": text(), "data": {},
            "dataBase64": text(), "contentType": text(), "metadata": {"type": "object"}, "correlationId": text(),
            "causationId": text(), "time": time(), "recordedAt": time(),
            "digest": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "dataState": {"type": "string", "enum": ["PRESENT", "UNAVAILABLE", "ERASED", "REDACTED"]},
        }),
    );
    let cloud_event = json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "plposition", "plversion"],
        "properties": {"specversion": {"const": "1.0"}, "id": uuid(), "source": text(), "type": text(), "subject": text(),
            "time": time(), "datacontenttype": text(), "data": {}, "data_base64": text(),
            "plposition": text(), "plversion": text()},
    });
    vec![("Event", event), ("CloudEvent", cloud_event)]
}

fn answers() -> Vec<(&'static str, Value)> {
    let written = json!({"term": number(), "acks": {"type": "array", "items": text()},
        "repeated": {"type": "boolean"}, "token": text()});
    let place = json!({"stream": text(), "firstVersion": number(), "lastVersion": number(),
        "firstPosition": number(), "lastPosition": number()});
    let merged = |one: &Value, other: Value| {
        let mut all = one.as_object().cloned().unwrap_or_default();
        all.extend(other.as_object().cloned().unwrap_or_default());
        Value::Object(all)
    };
    let page = object(
        &["events", "nextFrom", "atEnd", "served"],
        json!({"events": list_of("Event"), "nextFrom": number(), "atEnd": {"type": "boolean"},
            "served": reference("Served")}),
    );
    vec![
        (
            "Appended",
            object(&["stream", "term", "acks", "repeated", "token"], merged(&place, written.clone())),
        ),
        (
            "StreamResult",
            object(&["stream", "firstVersion", "lastVersion", "firstPosition", "lastPosition"], place),
        ),
        (
            "Committed",
            object(
                &["results", "term", "acks", "repeated", "token"],
                merged(&written, json!({"results": list_of("StreamResult")})),
            ),
        ),
        (
            "Served",
            object(
                &["source", "position", "lag"],
                json!({"source": text(), "position": number(), "lag": number()}),
            ),
        ),
        ("StreamPage", page.clone()),
        ("LogPage", page),
        (
            "StreamHead",
            object(&["version", "last"], json!({"version": number(), "last": reference("Event")})),
        ),
        (
            "Location",
            object(
                &["source", "present"],
                json!({"source": text(), "present": {"type": "boolean"},
            "term": number(), "digest": text(), "note": text()}),
            ),
        ),
        (
            "Locations",
            object(
                &["position", "locations"],
                json!({"position": number(), "locations": list_of("Location")}),
            ),
        ),
        (
            "Conflict",
            object(
                &["stream", "expected", "actual"],
                json!({"stream": text(),
            "expected": reference("ExpectedVersion"), "actual": number(), "missed": list_of("Event"),
            "missedTruncated": {"type": "boolean"}}),
            ),
        ),
        ("Problem", problem()),
    ]
    .into_iter()
    .chain(searches())
    .collect()
}

fn searches() -> Vec<(&'static str, Value)> {
    let bucket = object(&["key", "count"], json!({"key": text(), "count": number()}));
    let hit = object(
        &["event", "score"],
        json!({"event": reference("Event"), "score": {"type": "number", "minimum": 0}}),
    );
    let hits = object(
        &["hits", "total", "exact", "next", "searchedTo"],
        json!({"hits": list_of("Hit"), "total": number(), "exact": {"type": "boolean"},
            "next": {"type": ["string", "null"]}, "searchedTo": number()}),
    );
    let statistics = object(
        &["total", "groups", "other", "searchedTo"],
        json!({
            "total": number(), "byInterval": list_of("Bucket"), "searchedTo": number(),
            "groups": {"type": "object", "additionalProperties": list_of("Bucket")},
            "other": {"type": "object", "additionalProperties": number()},
        }),
    );
    let trend = object(&["date", "count"], json!({"date": text(), "count": number()}));
    let trends =
        object(&["trends", "searchedTo"], json!({"trends": list_of("Trend"), "searchedTo": number()}));
    vec![
        ("Bucket", bucket),
        ("Hit", hit),
        ("Hits", hits),
        ("Statistics", statistics),
        ("Trend", trend),
        ("Trends", trends),
    ]
}

fn problem() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.text()).collect();
    object(
        &["type", "title", "status", "code", "detail", "written", "retry"],
        json!({
            "type": text(), "title": text(), "status": {"type": "integer"},
            "code": {"type": "string", "enum": codes}, "detail": text(),
            "written": {"type": "string", "enum": ["nothing", "unknown", "primary_only"]},
            "retry": {"type": "boolean"}, "nextStep": text(), "retryAfter": text(),
            "conflicts": list_of("Conflict"),
            "facts": {"type": "object", "additionalProperties": {"type": "string"}},
            "provisional": reference("Committed"),
        }),
    )
}

fn administration() -> Vec<(&'static str, Value)> {
    let names = json!({"type": "array", "items": name_schema(), "minItems": 1, "uniqueItems": true});
    let entry = object(
        &["source", "cut", "keptTo", "removedTo", "removedUnder", "term", "commitId", "events"],
        json!({"source": name_schema(), "cut": number(), "keptTo": number(), "removedTo": number(),
            "removedUnder": number(), "term": number(), "commitId": uuid(), "events": list_of("Event")}),
    );
    vec![
        ("VerifyAsked", object(&["request"], json!({"request": number()}))),
        ("Switch", object(&["primary"], json!({"primary": name_schema()}))),
        ("Failover", object(&["stopped"], json!({"stopped": names}))),
        ("Led", object(&["primary", "term"], json!({"primary": text(), "term": number()}))),
        ("Quarantined", entry),
        (
            "Quarantine",
            object(
                &["entries", "next"],
                json!({"entries": list_of("Quarantined"), "next": {"type": ["string", "null"]}}),
            ),
        ),
    ]
}

fn status() -> Vec<(&'static str, Value)> {
    let source = object(
        &["name", "engine", "role", "state"],
        json!({"name": text(), "engine": text(), "role": {"type": "string", "enum": ["Voter", "Learner"]},
            "state": text(), "databaseId": uuid(), "term": number(), "position": number(),
            "lagEvents": number(), "lagSeconds": number(), "verified": reference("Verified"), "message": text()}),
    );
    let store = object(
        &["name", "term", "positions", "sources", "configPosition", "sidecarVersion", "verbs"],
        json!({"name": text(), "storeId": uuid(), "primary": text(), "term": number(),
            "positions": {"type": "array", "items": number()}, "sources": list_of("Source"),
            "consistencyPercent": text(), "verifiedPercent": text(), "configPosition": number(),
            "sidecarVersion": text(), "verbs": {"type": "array", "items": text()},
            "configuration": reference("Configuration")}),
    );
    let verified = object(
        &["through", "end", "since", "missing", "differing", "extra", "repaired", "answered"],
        json!({"through": number(), "end": number(), "since": time(), "missing": number(), "differing": number(),
            "extra": number(), "repaired": number(), "answered": number()}),
    );
    let configuration = object(
        &["state"],
        json!({"state": {"type": "string", "enum": ["InForce", "Refused", "Differs", "RestartNeeded"]},
            "code": text(), "message": text()}),
    );
    vec![
        ("Configuration", configuration),
        ("Source", source),
        ("Store", store),
        ("Verified", verified),
        ("Stores", object(&["stores"], json!({"stores": list_of("Store")}))),
    ]
}
