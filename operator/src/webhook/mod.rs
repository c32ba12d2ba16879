//! The webhook that gives new pods their sidecar. It answers from memory: no request leads to another.

mod args;
mod metrics;
mod review;
mod run;
mod server;
mod stores;
#[cfg(test)]
mod tests;

pub use args::WebhookArgs;
pub(crate) use metrics::WebhookMetrics;
pub(crate) use run::{Installation, Readiness, Webhook};
