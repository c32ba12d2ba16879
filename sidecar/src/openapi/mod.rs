//! The description of the HTTP interface.

use axum::response::Response;
use http::StatusCode;

/// `GET /openapi.json`
pub(crate) fn answer() -> Response {
    crate::http::full(StatusCode::OK, "application/json", "{}")
}
