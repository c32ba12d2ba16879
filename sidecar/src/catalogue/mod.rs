//! Every metric, alert and log event that this version gives, each once: what stands here is registered, documented and made
//! into rules and a dashboard, and a test fails when anything else is given.

mod alerts;
mod dashboard;
mod logs;
mod metrics;
mod operator;
mod page;
mod rules;

pub use alerts::{ALERTS, Alert, Severity};
pub use dashboard::dashboard;
pub use logs::{LOG_EVENTS, Level, LogEvent};
pub(crate) use metrics::*;
pub use metrics::{Kind, METRICS, Metric, Unit};
pub use operator::{
    OPERATOR_LEADS, OPERATOR_METRICS, OPERATOR_RECONCILES, OPERATOR_WRITES, WEBHOOK_DURATION, WEBHOOK_REVIEWS,
};
pub use page::{logs_table, metrics_table};
pub use rules::{alert_rules, alerts_table};
