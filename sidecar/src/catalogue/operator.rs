//! Metrics of the operator, whose registry is its own.

use super::{Kind, Metric, Unit};

/// Which process reconciles.
pub const OPERATOR_LEADS: Metric = Metric {
    name: "polylog_operator_leads",
    kind: Kind::Gauge,
    unit: None,
    labels: &[],
    since: "0.1.0",
    help: "1 in the operator's process that reconciles, 0 where another one does",
};
/// How often it reconciled.
pub const OPERATOR_RECONCILES: Metric = Metric {
    name: "polylog_operator_reconciles",
    kind: Kind::Counter,
    unit: None,
    labels: &["controller", "outcome"],
    since: "0.1.0",
    help: "Reconciles by outcome: done, or failed and tried again",
};
/// How often it wrote.
pub const OPERATOR_WRITES: Metric = Metric {
    name: "polylog_operator_writes",
    kind: Kind::Counter,
    unit: None,
    labels: &["kind"],
    since: "0.1.0",
    help: "Requests to the API server that may change something, by the kind of the object",
};
/// Pods that the webhook was asked about.
pub const WEBHOOK_REVIEWS: Metric = Metric {
    name: "polylog_webhook_reviews",
    kind: Kind::Counter,
    unit: None,
    labels: &["outcome"],
    since: "0.1.0",
    help: "Pods that the webhook was asked about: injected, untouched, refused, or unintelligible",
};
/// How long its answers took.
pub const WEBHOOK_DURATION: Metric = Metric {
    name: "polylog_webhook_duration_seconds",
    kind: Kind::Histogram,
    unit: Some(Unit::Seconds),
    labels: &[],
    since: "0.1.0",
    help: "Time until the webhook's answer, the wait for an EventStore that is not there yet included",
};

/// All of them, in the order of the book.
pub const OPERATOR_METRICS: &[Metric] =
    &[OPERATOR_LEADS, OPERATOR_RECONCILES, OPERATOR_WRITES, WEBHOOK_REVIEWS, WEBHOOK_DURATION];
