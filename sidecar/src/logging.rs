//! Logs on stderr: text on a terminal, JSON elsewhere. Never payloads, never secrets.

use std::io::{IsTerminal, stderr};

use std::sync::OnceLock;

use polylog_crds::event_store::LogLevel;
use tracing_subscriber::{EnvFilter, reload};

/// The variable that says what is logged, in the form of `tracing`'s filters, like `info` or `polylog_sidecar=debug`.
pub const VARIABLE: &str = "POLYLOG_LOG";

/// Replaces what is logged; absent where the variable says it.
static SET_LEVEL: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Logs as much as a manifest says, unless the variable says how much.
pub(crate) fn set_level(level: LogLevel) {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    if let Some(set) = SET_LEVEL.get() {
        set(EnvFilter::new(level));
    }
}

fn changes_by<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Box<dyn Fn(EnvFilter) + Send + Sync> {
    Box::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::warn!(%error, "the log level stays");
        }
    })
}

/// Starts logging. What `POLYLOG_LOG` says that cannot be read counts as `info`.
pub fn start() {
    let filter = std::env::var(VARIABLE).ok().and_then(|text| EnvFilter::try_new(text).ok());
    let is_fixed = filter.is_some();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new("info")))
        .with_writer(stderr);
    let (started, change) = if stderr().is_terminal() {
        let builder = builder.with_target(false).with_filter_reloading();
        let change = changes_by(builder.reload_handle());
        (builder.try_init(), change)
    } else {
        let builder = builder.json().flatten_event(true).with_filter_reloading();
        let change = changes_by(builder.reload_handle());
        (builder.try_init(), change)
    };
    if !is_fixed && started.is_ok() {
        // the first caller's is the one that was started
        let _ = SET_LEVEL.set(change);
    }
    if let Err(error) = started {
        // somebody in this process, such as a test, has started logging already
        tracing::debug!(error, "logging was started before");
    }
}
