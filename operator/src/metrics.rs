use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use crate::webhook::WebhookMetrics;

/// What the operator counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    leads: Gauge,
    reconciles: Family<Reconcile, Counter>,
    writes: Family<Write, Counter>,
    /// Of the webhook.
    pub(crate) webhook: WebhookMetrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    controller: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let leads = Gauge::default();
        registry.register(
            "polylog_operator_leads",
            "1 in the process that reconciles, 0 where another one does",
            leads.clone(),
        );
        let reconciles = Family::default();
        registry.register(
            "polylog_operator_reconciles",
            "Reconciles by outcome: done, or failed and tried again",
            reconciles.clone(),
        );
        let writes = Family::default();
        registry.register(
            "polylog_operator_writes",
            "Requests to the API server that may change something, by the kind of the object",
            writes.clone(),
        );
        let webhook = WebhookMetrics::register(&mut registry);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("polylog_build", "The version of this process", version);
        Self { registry, leads, reconciles, writes, webhook }
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(leads.into());
    }

    pub(crate) fn reconciled(&self, controller: &'static str, is_done: bool) {
        let outcome = if is_done { "done" } else { "failed" };
        self.reconciles.get_or_create(&Reconcile { controller, outcome }).inc();
    }

    pub(crate) fn wrote(&self, kind: &'static str) {
        self.writes.get_or_create(&Write { kind }).inc();
    }

    /// In the text format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string cannot fail");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_counted() {
        let metrics = Metrics::new();
        metrics.leads(true);
        metrics.reconciled("eventstore", true);
        metrics.wrote("ConfigMap");
        metrics.wrote("ConfigMap");
        let text = metrics.text();
        for line in [
            "polylog_operator_leads 1",
            "polylog_operator_reconciles_total{controller=\"eventstore\",outcome=\"done\"} 1",
            "polylog_operator_writes_total{kind=\"ConfigMap\"} 2",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn every_alert_about_the_operator_is_of_a_metric_that_there_is() {
        let metrics = Metrics::new();
        metrics.reconciled("eventstore", true);
        let text = metrics.text();
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let mut found = 0;
        for alert in polylog_sidecar::catalogue::ALERTS {
            let words = alert.expression.split(|character| !is_name(character));
            let ours = ["polylog_operator_", "polylog_webhook_"];
            for name in words.filter(|word| ours.iter().any(|begin| word.starts_with(begin))) {
                found += 1;
                let is_there = text.contains(&format!("\n{name}{{")) || text.contains(&format!("\n{name} "));
                assert!(is_there, "{}: {name}", alert.name);
            }
        }
        assert!(found >= 3, "{found}");
    }
}
