use std::time::Duration;

use polylog_sidecar::catalogue::{WEBHOOK_DURATION, WEBHOOK_REVIEWS};
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
        registry.register(WEBHOOK_REVIEWS.name, WEBHOOK_REVIEWS.help, reviews.clone());
        let seconds = Histogram::new(BOUNDS);
        registry.register(WEBHOOK_DURATION.name, WEBHOOK_DURATION.help, seconds.clone());
        Self { reviews, seconds }
    }

    pub(crate) fn reviewed(&self, outcome: &'static str, took: Duration) {
        self.reviews.get_or_create(&Review { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
