//! Logs on stderr: text on a terminal, JSON elsewhere. Never payloads, never secrets.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, in the form of `tracing`'s filters, like `info` or `polylog_sidecar=debug`.
pub const VARIABLE: &str = "POLYLOG_LOG";

/// Starts logging. What `POLYLOG_LOG` says that cannot be read counts as `info`.
pub fn start() {
    let filter = std::env::var(VARIABLE).ok().and_then(|text| EnvFilter::try_new(text).ok());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new("info")))
        .with_writer(stderr);
    let started = if stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if let Err(error) = started {
        // somebody in this process, such as a test, has started logging already
        tracing::debug!(error, "logging was started before");
    }
}
