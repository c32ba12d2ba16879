use std::collections::BTreeMap;

use polylog_api::Code;
use serde_json::{Map, Value, json};

use super::{
    operations::{Operation, operations},
    parameters::{self, reference},
    schemas,
};
use crate::http::LATER;

/// The whole document.
pub(super) fn document() -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut put = |path: String, method: &str, operation: Value| {
        let methods = paths.entry(path).or_default();
        if method == "GET" {
            methods.insert("head".into(), without_body(&operation));
        }
        methods.insert(method.to_ascii_lowercase(), operation);
    };
    for operation in operations() {
        if operation.is_of_store {
            put(
                format!("/v1/stores/{{store}}/{}", operation.path),
                operation.method,
                described(&operation, true),
            );
            put(format!("/v1/{}", operation.path), operation.method, described(&operation, false));
        } else {
            put(format!("/{}", operation.path), operation.method, described(&operation, false));
        }
    }
    for (methods, pattern) in LATER {
        for method in *methods {
            let path = pattern.join("/");
            put(format!("/v1/stores/{{store}}/{path}"), method, later(method, pattern, true));
            put(format!("/v1/{path}"), method, later(method, pattern, false));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Polylog",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Append, read and follow events. Every refusal is a problem with a stable `code`, says whether anything was written, and what to do next. Operations tagged `later` are not in this version.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://localhost:7300"}],
        "tags": [
            {"name": "events", "description": "Append, read, follow"},
            {"name": "search", "description": "Find and count"},
            {"name": "stores", "description": "What is served here, and how it is"},
            {"name": "administration", "description": "What needs the verb admin"},
            {"name": "head", "description": "What GET says, without the body"},
            {"name": "later", "description": "Not in this version: 501 is the only answer"},
        ],
        "paths": paths,
        "components": {"schemas": schemas::schemas(), "parameters": parameters::parameters()},
    })
}

fn described(operation: &Operation, with_store: bool) -> Value {
    let mut parameters: Vec<Value> = operation.parameters.iter().map(|name| reference(name)).collect();
    if with_store {
        parameters.insert(0, reference("store"));
    }
    let mut responses = Map::new();
    for success in &operation.successes {
        responses.insert(success.status.to_string(), success.described());
    }
    let codes = operation.codes.iter().chain(COMMON.iter().filter(|_| operation.id != "openapi"));
    for (status, codes) in by_status(codes) {
        responses.insert(status.to_string(), refusal(status, &codes));
    }
    let suffix = if with_store { "_of_store" } else { "" };
    let mut described = json!({
        "operationId": format!("{}{suffix}", operation.id),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({"required": true, "content": body});
    }
    described
}

/// HEAD, where GET is described.
fn without_body(get: &Value) -> Value {
    let mut head = get.clone();
    let id = get["operationId"].as_str().unwrap_or_default();
    head["operationId"] = format!("{id}_head").into();
    if get["tags"] != json!(["later"]) {
        head["tags"] = json!(["head"]);
    }
    for response in head["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        response.as_object_mut().map(|response| response.remove("content"));
    }
    head
}

/// What every operation may answer.
const COMMON: &[Code] = &[
    Code::InvalidRequest,
    Code::Unauthenticated,
    Code::AccessDenied,
    Code::ForbiddenOrigin,
    Code::StoreNotFound,
    Code::LimitExceeded,
    Code::Overloaded,
    Code::Internal,
    Code::Draining,
];

fn by_status<'a>(codes: impl Iterator<Item = &'a Code>) -> BTreeMap<u16, Vec<Code>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let same = by_status.entry(code.status()).or_default();
        if !same.contains(code) {
            same.push(*code);
        }
    }
    by_status
}

fn refusal(status: u16, codes: &[Code]) -> Value {
    let names: Vec<String> = codes.iter().map(|code| format!("`{code}`: {}", code.title())).collect();
    let words: Vec<&str> = codes.iter().map(|code| code.text()).collect();
    let schema = json!({
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {"code": {"enum": words}, "status": {"const": status}},
    });
    let mut refusal = json!({
        "description": names.join("; "),
        "content": {"application/problem+json": {"schema": schema}},
    });
    if codes.iter().any(|code| code.retry()) {
        refusal["headers"] = json!({"Retry-After": {
            "description": "Seconds to wait before the next try",
            "schema": {"type": "integer", "minimum": 0},
        }});
    }
    refusal
}

fn later(method: &str, pattern: &[&str], with_store: bool) -> Value {
    let parameter = |part: &&&str| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}),
        )
    };
    let mut parameters: Vec<Value> = pattern.iter().filter_map(|part| parameter(&part)).collect();
    if with_store {
        parameters.insert(0, reference("store"));
    }
    let words: Vec<&str> = pattern.iter().map(|part| part.trim_matches(['{', '}'])).collect();
    let suffix = if with_store { "_of_store" } else { "" };
    json!({
        "operationId": format!("{}_{}{suffix}", method.to_ascii_lowercase(), words.join("_")),
        "summary": "Not in this version",
        "tags": ["later"],
        "parameters": parameters,
        "responses": {"501": refusal(501, &[Code::NotSupported])},
    })
}
