//! The description of the HTTP interface, as OpenAPI 3.1: for people, client generators and fuzzers.

mod document;
mod operations;
mod parameters;
mod schemas;

use std::sync::LazyLock;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;

static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(text()));

/// The document, as it is served and checked in.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document::document()).expect("a value serialises");
    text.push('\n');
    text
}

/// `GET /openapi.json`
pub(crate) fn answer() -> Response {
    crate::http::full(StatusCode::OK, "application/json", TEXT.clone())
}
