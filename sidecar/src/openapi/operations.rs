use polylog_api::Code;
use serde_json::{Map, Value, json};

/// One operation of the interface.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Whether the path stands below a store.
    pub(super) is_of_store: bool,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Names among the components' parameters.
    pub(super) parameters: Vec<&'static str>,
    /// Content by media type.
    pub(super) body: Option<Value>,
    pub(super) successes: Vec<Success>,
    /// Codes beyond those of every operation.
    pub(super) codes: Vec<Code>,
}

/// A good answer.
pub(super) struct Success {
    pub(super) status: u16,
    pub(super) description: &'static str,
    content: Option<Value>,
    headers: &'static [&'static str],
}

const SERVED: &[&str] = &["Polylog-Source", "Polylog-Position", "Polylog-Lag", "Polylog-Token"];
const WRITTEN: &[&str] = &["Polylog-Token"];

impl Success {
    pub(super) fn described(&self) -> Value {
        let mut described = json!({"description": self.description});
        if let Some(content) = &self.content {
            described["content"] = content.clone();
        }
        if !self.headers.is_empty() {
            let schema = |name: &str| match name {
                "Polylog-Position" | "Polylog-Lag" => json!({"type": "integer", "minimum": 0}),
                _ => json!({"type": "string"}),
            };
            let header = |name: &&str| ((*name).to_owned(), json!({"schema": schema(name)}));
            described["headers"] = Value::Object(self.headers.iter().map(header).collect::<Map<_, _>>());
        }
        described
    }
}

fn answer(
    status: u16,
    description: &'static str,
    content: Value,
    headers: &'static [&'static str],
) -> Success {
    Success { status, description, content: Some(content), headers }
}

fn json_of(schema: &str) -> Value {
    json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
}

fn pages(schema: &str) -> Value {
    json!({
        "application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/cloudevents-batch+json": {
            "schema": {"type": "array", "items": {"$ref": "#/components/schemas/CloudEvent"}},
        },
    })
}

fn body_of(schema: &str) -> Value {
    json!({
        "application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}},
        "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/NewCloudEvent"}},
        "application/cloudevents-batch+json": {
            "schema": {"type": "array", "items": {"$ref": "#/components/schemas/NewCloudEvent"}},
        },
    })
}

/// Codes of everything that asks a source.
const SOURCE: &[Code] = &[
    Code::SourceUnavailable,
    Code::SourceRefused,
    Code::NotProvisioned,
    Code::NoPrimary,
    Code::SidecarTooOld,
    Code::WrongStore,
];

fn appends() -> Vec<Code> {
    let own = [
        Code::ExpectedVersionRequired,
        Code::UnsupportedMediaType,
        Code::VersionConflict,
        Code::IdConflict,
        Code::SchemaViolation,
        Code::NotSupported,
        Code::OutcomeUnknown,
        Code::AcksTimeout,
    ];
    own.into_iter().chain(SOURCE.iter().copied()).collect()
}

fn reads(own: &[Code]) -> Vec<Code> {
    let fresh = [Code::HistoryForked, Code::NotCaughtUp];
    own.iter().copied().chain(fresh).chain(SOURCE.iter().copied()).collect()
}

/// All operations of this version.
pub(super) fn operations() -> Vec<Operation> {
    let appending = [
        "acks",
        "missed",
        "expectedVersion",
        "idempotencyKey",
        "correlationIdHeader",
        "causationIdHeader",
        "traceparent",
        "timeout",
    ];
    let freshness = ["consistency", "token", "maxLag", "tokenHeader", "timeout"];
    let filter =
        ["types", "typePrefix", "categories", "streams", "correlationId", "filter", "includeSystem", "lane"];
    let with = |names: &[&'static str], more: &[&[&'static str]]| {
        names.iter().chain(more.iter().copied().flatten()).copied().collect::<Vec<_>>()
    };
    let append = |method, path, id, summary, parameters, body: &str, answer_of: &str| Operation {
        method,
        path,
        is_of_store: true,
        id,
        tag: "events",
        summary,
        parameters,
        body: Some(body_of(body)),
        successes: vec![
            answer(201, "Appended", json_of(answer_of), WRITTEN),
            answer(
                200,
                "A repeat of an earlier append, or only a check of versions",
                json_of(answer_of),
                WRITTEN,
            ),
        ],
        codes: appends(),
    };
    let read = |path, id, summary, parameters, description, content, codes: &[Code]| Operation {
        method: "GET",
        path,
        is_of_store: true,
        id,
        tag: "events",
        summary,
        parameters,
        body: None,
        successes: vec![answer(200, description, content, SERVED)],
        codes: reads(codes),
    };
    let one_event = json!({
        "application/json": {"schema": {"$ref": "#/components/schemas/Event"}},
        "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/CloudEvent"}},
    });
    let paged = [Code::InvalidFilter, Code::NotAcceptable];
    let mut operations = vec![
        append(
            "POST",
            "streams/{stream}",
            "append",
            "Append events to a stream, all or none",
            with(&["stream"], &[&appending]),
            "Append",
            "Appended",
        ),
        append(
            "POST",
            "commits",
            "commit",
            "Append events to several streams, all or none",
            appending.to_vec(),
            "Commit",
            "Committed",
        ),
        read(
            "streams/{stream}",
            "read_stream",
            "Read a stream",
            with(&["stream", "fromVersion", "direction", "limit", "types", "filter"], &[&freshness]),
            "A page of the stream, or with NDJSON all of it",
            pages("StreamPage"),
            &[paged[0], paged[1], Code::StreamNotFound],
        ),
        read(
            "streams/{stream}/head",
            "stream_head",
            "The last version and event of a stream",
            with(&["stream"], &[&freshness]),
            "The stream's head",
            json_of("StreamHead"),
            &[Code::StreamNotFound],
        ),
        read(
            "events",
            "read_log",
            "Read the log",
            with(&["fromPosition", "direction", "limit", "since", "until"], &[&filter, &freshness]),
            "A page of the log, or with NDJSON all of it",
            pages("LogPage"),
            &paged,
        ),
        read(
            "events/{id}",
            "event",
            "An event by its id",
            with(&["id"], &[&freshness]),
            "The event",
            one_event,
            &[Code::EventNotFound, Code::NotAcceptable],
        ),
        read(
            "events/{id}/locations",
            "locations",
            "Which source holds an event",
            with(&["id"], &[&freshness]),
            "One entry per source",
            json_of("Locations"),
            &[Code::EventNotFound],
        ),
    ];
    let sought =
        ["types", "typePrefix", "categories", "streams", "correlationId", "filter", "since", "until"];
    let searched = |path, summary, parameters, description, content| Operation {
        tag: "search",
        ..read(path, path, summary, parameters, description, content, &[Code::InvalidFilter])
    };
    operations.extend([
        searched(
            "search",
            "Find events",
            with(&["q", "metadata", "sort", "limit", "page"], &[&sought, &freshness]),
            "A page of hits",
            json_of("Hits"),
        ),
        searched(
            "statistics",
            "Count events",
            with(&["interval", "tz", "groupBy", "top"], &[&sought, &freshness]),
            "Counts: of all, by interval if asked for, by group",
            json_of("Statistics"),
        ),
        searched(
            "trends",
            "Count events by interval",
            with(&["interval", "tz"], &[&sought, &freshness]),
            "Counts by interval, a day where nothing is said, without gaps",
            json_of("Trends"),
        ),
    ]);
    operations.push(subscribe(with(
        &["fromStart", "after", "sinceRecorded", "untilRecorded", "startToken", "lastEventId"],
        &[&filter],
    )));
    operations.extend(administration());
    operations.extend(stores());
    operations
}

fn subscribe(parameters: Vec<&'static str>) -> Operation {
    Operation {
        method: "GET",
        path: "subscribe",
        is_of_store: true,
        id: "subscribe",
        tag: "events",
        summary: "Follow the log as server-sent events: event, caught-up, fell-behind, checkpoint, error, end",
        parameters,
        body: None,
        successes: vec![
            Success {
                status: 200,
                description: "Frames whose id is a token; connect again with the last one to go on",
                content: Some(json!({"text/event-stream": {}})),
                headers: &[],
            },
            Success {
                status: 204,
                description: "Nothing is left before `until`: do not connect again",
                content: None,
                headers: &[],
            },
        ],
        codes: reads(&[Code::InvalidFilter, Code::NotAcceptable]),
    }
}

fn administration() -> Vec<Operation> {
    let post = |path, id, summary, body: Option<&str>, success, codes: &[Code]| Operation {
        method: "POST",
        path,
        is_of_store: true,
        id,
        tag: "administration",
        summary,
        parameters: vec!["timeout"],
        body: body.map(json_of),
        successes: vec![success],
        codes: [Code::NotSupported].iter().chain(codes).chain(SOURCE).copied().collect(),
    };
    let led = || answer(200, "The primary now", json_of("Led"), &[]);
    vec![
        post(
            "admin/verify",
            "verify",
            "Read everything again, and compare it",
            None,
            answer(
                202,
                "It is begun; `verified.answered` of each source says when it is done",
                json_of("VerifyAsked"),
                &[],
            ),
            &[],
        ),
        post(
            "admin/switch",
            "switch",
            "Make another source primary; nothing is lost",
            Some("Switch"),
            led(),
            &[Code::UnsupportedMediaType, Code::NotCaughtUp],
        ),
        post(
            "admin/failover",
            "failover",
            "Open the log without sources that are stopped or cut off",
            Some("Failover"),
            led(),
            &[Code::UnsupportedMediaType],
        ),
        Operation {
            method: "GET",
            path: "admin/quarantine",
            is_of_store: true,
            id: "quarantine",
            tag: "administration",
            summary: "Entries that lost to another history",
            parameters: vec!["onlySource", "afterPlace", "limit", "timeout"],
            body: None,
            successes: vec![answer(200, "A page of them, oldest first", json_of("Quarantine"), &[])],
            codes: SOURCE.to_vec(),
        },
    ]
}

fn stores() -> Vec<Operation> {
    let operation = |path, id, summary, parameters, content| Operation {
        method: "GET",
        path,
        is_of_store: false,
        id,
        tag: "stores",
        summary,
        parameters,
        body: None,
        successes: vec![answer(200, "As last seen", content, &[])],
        codes: Vec::new(),
    };
    let document = json!({"application/json": {"schema": {"type": "object"}}});
    vec![
        operation("v1/stores", "stores", "The stores that are served here", vec![], json_of("Stores")),
        operation(
            "v1/stores/{store}",
            "store",
            "One store, its sources and the caller's verbs",
            vec!["store"],
            json_of("Store"),
        ),
        operation("openapi.json", "openapi", "This document", vec![], document),
    ]
}
