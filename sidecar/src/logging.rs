//! Logs on stderr: text on a terminal, JSON elsewhere. Never payloads, never secrets. Traces go where `OTEL_…` says.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::traces::{self, InvalidTraces};

/// The variable that says what is logged, in the form of `tracing`'s filters, like `info` or `polylog_sidecar=debug`.
pub const VARIABLE: &str = "POLYLOG_LOG";

/// Starts logging, and traces where the environment asks for them. What `POLYLOG_LOG` says that cannot be read counts as
/// `info`.
///
/// # Errors
/// The environment asks for traces that this version cannot give; nothing is logged then.
pub fn start() -> Result<(), InvalidTraces> {
    let traces = traces::layer()?;
    let filter = std::env::var(VARIABLE).ok().and_then(|text| EnvFilter::try_new(text).ok());
    let lines = fmt::layer().with_writer(stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if stderr().is_terminal() {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    let lines = lines.with_filter(filter.unwrap_or_else(|| EnvFilter::new("info")));
    if let Err(error) = tracing_subscriber::registry().with(lines).with(traces).try_init() {
        // somebody in this process, such as a test, has started logging already
        tracing::debug!(%error, "logging was started before");
    }
    Ok(())
}
