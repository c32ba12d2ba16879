//! Logs on stderr: text on a terminal, JSON elsewhere. Never payloads, never secrets. Traces go where `OTEL_…` says.

use std::{
    io::{IsTerminal, stderr},
    sync::OnceLock,
};

use polylog_crds::event_store::LogLevel;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::traces::{self, InvalidTraces};

/// The variable that says what is logged, in the form of `tracing`'s filters, like `info` or `polylog_sidecar=debug`.
pub const VARIABLE: &str = "POLYLOG_LOG";

/// Replaces what is logged; absent where the variable says it.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs as much as a manifest says, unless the variable says how much.
pub(crate) fn set_level(level: LogLevel) {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    if let Some(handle) = LEVEL.get()
        && let Err(error) = handle.modify(|filter| *filter = EnvFilter::new(level))
    {
        tracing::warn!(event = "log_level_stays", %error, "the log level stays");
    }
}

/// Starts logging, and traces where the environment asks for them. What `POLYLOG_LOG` says that cannot be read counts as
/// `info`.
///
/// # Errors
/// The environment asks for traces that this version cannot give; nothing is logged then.
pub fn start() -> Result<(), InvalidTraces> {
    let traces = traces::layer()?;
    let filter = std::env::var(VARIABLE).ok().and_then(|text| EnvFilter::try_new(text).ok());
    let is_fixed = filter.is_some();
    let (filter, handle) = reload::Layer::new(filter.unwrap_or_else(|| EnvFilter::new("info")));
    let lines = fmt::layer().with_writer(stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if stderr().is_terminal() {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    let started = tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces).try_init();
    match started {
        // the first caller's is the one that was started
        Ok(()) if !is_fixed => drop(LEVEL.set(handle)),
        Ok(()) => {}
        // somebody in this process, such as a test, has started logging already
        Err(error) => tracing::debug!(%error, "logging was started before"),
    }
    Ok(())
}
