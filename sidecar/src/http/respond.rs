use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use polylog_api::{Problem, headers};

use super::route::NoRoute;

/// A request that is refused or failed: the problem, and the methods that would be allowed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) problem: Box<Problem>,
    allow: Option<String>,
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Refused>;

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), allow: None }
    }
}

impl From<NoRoute> for Refused {
    fn from(NoRoute { problem, allow }: NoRoute) -> Self {
        Self { problem, allow }
    }
}

impl Refused {
    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        let Self { problem, allow } = self;
        let body = serde_json::to_vec(&problem).expect("a plain struct serialises into memory");
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = full(status, headers::PROBLEM_JSON, body);
        if let Some(wait) = problem.retry_after {
            // whole seconds, rounded up: the header knows no smaller unit
            set(&mut response, headers::RETRY_AFTER, &wait.as_millis().div_ceil(1_000).to_string());
        }
        if status == StatusCode::UNAUTHORIZED {
            set(&mut response, "www-authenticate", "Bearer");
        }
        if let Some(allow) = allow {
            set(&mut response, "allow", &allow);
        }
        response
    }
}

/// An answer with all of its body.
pub(crate) fn full(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Sets a header whose value is visible ASCII; other values are left out.
pub(crate) fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("answers are plain structs with string keys");
    full(status, "application/json", body)
}
