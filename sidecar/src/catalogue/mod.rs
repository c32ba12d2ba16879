//! Every metric and every log event that this version gives, each once: what stands here is registered and documented,
//! and a test fails when anything else is given.

mod logs;
mod metrics;
mod page;

pub use logs::{LOG_EVENTS, Level, LogEvent};
pub(crate) use metrics::*;
pub use metrics::{Kind, METRICS, Metric, Unit};
pub use page::{logs_table, metrics_table};
