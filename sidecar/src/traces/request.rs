use http::HeaderMap;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument, Span, field::Empty, instrument::Instrumented, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TARGET;

/// The span of a request; nothing where traces are off.
pub(crate) struct RequestSpan(Span);

/// Headers, or over gRPC metadata.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

impl RequestSpan {
    /// Over HTTP.
    pub(crate) fn http(method: &http::Method, headers: &HeaderMap) -> Self {
        let span = trace_span!(
            target: TARGET, parent: None, "request", otel.kind = "server", otel.status_code = Empty,
            http.request.method = method.as_str(), http.response.status_code = Empty,
        );
        Self(span).of_caller(headers)
    }

    /// Over gRPC.
    pub(crate) fn grpc(headers: &HeaderMap) -> Self {
        let span = trace_span!(
            target: TARGET, parent: None, "request", otel.kind = "server", otel.status_code = Empty,
            rpc.system = "grpc", polylog.code = Empty,
        );
        Self(span).of_caller(headers)
    }

    /// A child of the caller's span, where `traceparent` names one.
    fn of_caller(self, headers: &HeaderMap) -> Self {
        if !self.0.is_disabled() {
            let parent = TraceContextPropagator::new().extract(&Headers(headers));
            // fails only where no layer knows the span, and then nobody exports it
            let _ = self.0.set_parent(parent);
        }
        self
    }

    /// What it asks for is known only later.
    fn named(&self, operation: &'static str) {
        if !self.0.is_disabled() {
            self.0.context().span().update_name(operation);
        }
    }

    /// What is done for the request.
    pub(crate) fn around<F: Future>(&self, work: F) -> Instrumented<F> {
        work.instrument(self.0.clone())
    }

    /// It was answered over HTTP.
    pub(crate) fn http_answered(&self, operation: &'static str, status: http::StatusCode) {
        self.named(operation);
        self.0.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.0.record("otel.status_code", "ERROR");
        }
    }

    /// It was answered over gRPC.
    pub(crate) fn grpc_answered(&self, operation: &'static str, code: &'static str, is_failure: bool) {
        self.named(operation);
        self.0.record("polylog.code", code);
        if is_failure {
            self.0.record("otel.status_code", "ERROR");
        }
    }
}
