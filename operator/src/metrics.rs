use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use polylog_sidecar::catalogue::{OPERATOR_LEADS, OPERATOR_RECONCILES, OPERATOR_WRITES};

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
        registry.register(OPERATOR_LEADS.name, OPERATOR_LEADS.help, leads.clone());
        let reconciles = Family::default();
        registry.register(OPERATOR_RECONCILES.name, OPERATOR_RECONCILES.help, reconciles.clone());
        let writes = Family::default();
        registry.register(OPERATOR_WRITES.name, OPERATOR_WRITES.help, writes.clone());
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
    fn what_is_given_is_in_the_catalogue_and_the_other_way_round() {
        let metrics = Metrics::new();
        metrics.reconciled("eventstore", true);
        metrics.wrote("ConfigMap");
        metrics.webhook.reviewed("injected", std::time::Duration::ZERO);
        let text = metrics.text();
        let given: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let known = polylog_sidecar::catalogue::OPERATOR_METRICS;
        let wanted: Vec<String> =
            known.iter().map(|metric| format!("{} {}", metric.name, metric.kind.text())).collect();
        assert_eq!(given.iter().filter(|line| !line.starts_with("polylog_build ")).count(), wanted.len());
        for line in &wanted {
            assert!(given.contains(&line.as_str()), "{line} is not in {given:?}");
        }
        for metric in known {
            for label in metric.labels {
                let is_there = text.lines().any(|line| {
                    line.starts_with(&metric.sample_name()) && line.contains(&format!("{label}=\""))
                });
                assert!(is_there, "{}: {label}", metric.name);
            }
        }
    }
}
