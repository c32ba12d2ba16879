use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// What the webhook counts.
#[derive(Debug, Clone)]
pub(crate) struct WebhookMetrics {
    reviews: Family<Review, Counter>,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Review {
    outcome: &'static str,
}

/// Bounds in seconds. The API server waits for 5 s.
const BOUNDS: [f64; 9] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.5, 2.0, 5.0];

impl WebhookMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let reviews = Family::<Review, Counter>::default();
        registry.register(
            "polylog_webhook_reviews",
            "Pods that the webhook was asked about: injected, untouched, refused, or unintelligible",
            reviews.clone(),
        );
        let seconds = Histogram::new(BOUNDS);
        registry.register(
            "polylog_webhook_duration_seconds",
            "Time until the webhook's answer, the wait for an EventStore that is not there yet included",
            seconds.clone(),
        );
        Self { reviews, seconds }
    }

    pub(super) fn reviewed(&self, outcome: &'static str, took: Duration) {
        self.reviews.get_or_create(&Review { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
