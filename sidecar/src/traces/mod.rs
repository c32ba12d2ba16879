//! Traces over OTLP: off unless the environment names a collector, and then never in the way of a request.

mod config;
mod export;
mod http;
mod queue;
mod request;
mod sampler;

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use self::{
    config::{Route, TracesConfig},
    queue::{Ended, Queue},
    sampler::LinksCount,
};

pub(crate) use self::{export::Export, request::RequestSpan};
pub use config::InvalidTraces;

/// The target of all spans that are exported.
const TARGET: &str = "polylog::span";
/// Most links of a span: a batch has one for each of its commits.
const LINKS: u32 = 512;

/// What was ended and not exported yet, and how it gets to the collector.
type ToExport = (Ended, Route);

/// Taken by the one task that exports.
static ENDED: OnceLock<Mutex<Option<ToExport>>> = OnceLock::new();

/// What turns the process's spans into traces; `None` where nobody asked for them.
pub(crate) fn layer<S>() -> Result<Option<impl Layer<S> + Send + Sync>, InvalidTraces>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let Some(config) = TracesConfig::read(|name| std::env::var(name).ok())? else { return Ok(None) };
    let (queue, ended) = Queue::new();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue)
        .with_sampler(LinksCount(config.sampler))
        .with_max_links_per_span(LINKS)
        .with_resource(resource())
        .build();
    let layer = OpenTelemetryLayer::new(provider.tracer("polylog"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE));
    // a process starts logging once; who came second changes nothing
    let _ = ENDED.set(Mutex::new(Some((ended, config.route))));
    Ok(Some(layer))
}

/// Who sends the traces: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over `polylog`.
fn resource() -> Resource {
    let builder = Resource::builder();
    let builder = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => builder,
        None => builder.with_service_name("polylog"),
    };
    builder.with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}
