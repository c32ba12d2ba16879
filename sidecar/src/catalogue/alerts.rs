/// Something that somebody should look at. Only of metrics that this version gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// How long the expression has to hold, as Prometheus writes durations.
    pub wait: &'static str,
    /// The version that had it first.
    pub since: &'static str,
    /// In PromQL; every series of its result is one alert.
    pub expression: &'static str,
    /// What is wrong; may name labels of the result as `{{ $labels.store }}`.
    pub summary: &'static str,
    /// What whoever gets it should do.
    pub action: &'static str,
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Appends or reads fail now.
    Critical,
    /// They may soon, or something is out of order.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// Its word in the label `severity`.
    pub fn text(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

macro_rules! alerts {
    ($($name:literal, $severity:ident, $wait:literal, $since:literal, $expression:literal, $summary:literal, $action:literal;)*) => {
        /// All of them, the most urgent first.
        pub const ALERTS: &[Alert] = &[$(Alert {
            name: $name,
            severity: Severity::$severity,
            wait: $wait,
            since: $since,
            expression: $expression,
            summary: $summary,
            action: $action,
        }),*];
    };
}

alerts! {
    "PolylogSourceDown", Critical, "30s", "0.1.0",
        "min by (namespace, store, source) (polylog_source_up) == 0 unless max by (namespace, store, source) (polylog_source_maintenance) == 1",
        "source {{ $labels.source }} of {{ $labels.namespace }}/{{ $labels.store }} does not answer at least one process",
        "Look at the database, and at the network between it and the pods; `polylog check` names what is wrong";
    "PolylogAppendsFail", Critical, "2m", "0.1.0",
        r#"sum by (namespace, store, outcome) (rate(polylog_appends_total{outcome=~"source_refused|source_unavailable|no_primary|not_provisioned|internal"}[5m])) > 0"#,
        "appends to {{ $labels.namespace }}/{{ $labels.store }} fail with {{ $labels.outcome }}",
        "The page on errors says what the code means";
    "PolylogAppendsUnknown", Warning, "0s", "0.1.0",
        "sum by (namespace, store) (increase(polylog_outcome_unknown_total[10m])) > 0",
        "appends to {{ $labels.namespace }}/{{ $labels.store }} were sent and not answered in time",
        "Their callers have to retry with the same ids; look at the source's latency";
    "PolylogAppendsSlow", Warning, "10m", "0.1.0",
        r#"histogram_quantile(0.99, sum by (namespace, store, le) (rate(polylog_append_duration_seconds_bucket{phase="total"}[5m]))) > 1"#,
        "one of a hundred appends to {{ $labels.namespace }}/{{ $labels.store }} takes longer than a second",
        "Compare with the time of operations on the source: the rest is waiting in the queue";
    "PolylogInconsistent", Critical, "0s", "0.1.0",
        "sum by (namespace, store, source, finding) (polylog_inconsistent_events) > 0",
        "source {{ $labels.source }} of {{ $labels.namespace }}/{{ $labels.store }} does not hold what the log's chain says ({{ $labels.finding }})",
        "The log line `source_inconsistent` names the position; the page on verification says what to do";
    "PolylogRepaired", Warning, "0s", "0.1.0",
        "sum by (namespace, store, source) (increase(polylog_repaired_rows_total[1h])) > 0",
        "rows of source {{ $labels.source }} of {{ $labels.namespace }}/{{ $labels.store }} were missing or damaged, and were written back",
        "The data is whole; the disk, or whoever has the database's password, may not be";
    "PolylogVerificationLate", Warning, "1h", "0.1.0",
        "max by (namespace, store, source) (polylog_verified_age_seconds) > 259200",
        "source {{ $labels.source }} of {{ $labels.namespace }}/{{ $labels.store }} was not read whole for three days",
        "Raise `spec.verification.maxReadsPerSecond`, look why the source cannot be read, or whether appends never pause: they come first";
    "PolylogQuarantineNotEmpty", Warning, "0s", "0.1.0",
        "max by (namespace, store, source) (increase(polylog_truncations[1d])) > 0",
        "entries of source {{ $labels.source }} of {{ $labels.namespace }}/{{ $labels.store }} lost to another history in the last day",
        "`polylog quarantine` lists them; what matters of it has to be appended again";
    "PolylogReplicationSlow", Warning, "5m", "0.1.0",
        "(max by (namespace, store, source) (polylog_replication_lag_seconds) > on (namespace, store) group_left () max by (namespace, store) (polylog_alert_lag_seconds) or max by (namespace, store, source) (polylog_replication_lag_seconds) > 60 unless on (namespace, store) max by (namespace, store) (polylog_alert_lag_seconds) or max by (namespace, store, source) (polylog_replication_lag_events) > on (namespace, store) group_left () max by (namespace, store) (polylog_alert_lag_events) or max by (namespace, store, source) (polylog_replication_lag_events) > 10000 unless on (namespace, store) max by (namespace, store) (polylog_alert_lag_events)) unless max by (namespace, store, source) (polylog_source_maintenance) == 1",
        "source {{ $labels.source }} of {{ $labels.namespace }}/{{ $labels.store }} lacks more events, or for longer, than `spec.alerts.lag` allows (10,000, a minute)",
        "Compare the time of its operations with that of the others";
    "PolylogQueueLong", Warning, "1m", "0.1.0",
        "max by (namespace, store) (polylog_append_queue_commits) > 2048",
        "the queue of {{ $labels.namespace }}/{{ $labels.store }} is half full; from 4,096 commits on they are refused",
        "The source is slower than what comes in: look at it, or at who sends so much";
    "PolylogStoreNotOpen", Warning, "5m", "0.1.0",
        "min by (namespace, store) (polylog_store_open) == 0",
        "{{ $labels.namespace }}/{{ $labels.store }} waits for its source in at least one process",
        "The log line `store_not_served` or `connection_unusable` says why; where none of several sources leads, so does the status";
    "PolylogSourceStalled", Warning, "1m", "0.1.0",
        "max by (namespace, store, source) (polylog_source_stalled_position) > 0",
        "source {{ $labels.source }} of {{ $labels.namespace }}/{{ $labels.store }} cannot store position {{ $value }}, and gets nothing after it",
        "The log line `source_stalled` says why";
    "PolylogConfigurationRefused", Warning, "5m", "0.1.0",
        "min by (namespace, store) (polylog_configuration_in_force) == 0",
        "a newer configuration of {{ $labels.namespace }}/{{ $labels.store }} is not in force in at least one process",
        "The log line `configuration_refused` names the field";
    "PolylogFilesScarce", Warning, "5m", "0.1.0",
        "process_open_fds / process_max_fds > 0.8 and on (instance) polylog_build_info",
        "{{ $labels.instance }} holds open 80 % of the files and connections that it may",
        "Look at who opens so many connections, or raise the limit";
    "PolylogOperatorLeaderless", Warning, "5m", "0.1.0",
        "sum by (namespace) (polylog_operator_leads) == 0",
        "no operator in {{ $labels.namespace }} reconciles; data goes on, changes wait",
        "Look at the operator's log and at its Lease";
    "PolylogReconcilesFail", Warning, "30m", "0.1.0",
        r#"sum by (namespace, controller) (rate(polylog_operator_reconciles_total{outcome="failed"}[10m])) > 0"#,
        "reconciles of {{ $labels.controller }} fail again and again",
        "`kubectl get eventstores -A -o wide` shows which, the conditions say why";
    "PolylogWebhookSlow", Warning, "10m", "0.1.0",
        "histogram_quantile(0.99, sum by (namespace, le) (rate(polylog_webhook_duration_seconds_bucket[10m]))) > 2",
        "pods wait for their sidecar: the webhook in {{ $labels.namespace }} takes longer than 2 s for one of a hundred",
        "Pods may name EventStores that are not there; else look at the operator's processor time";
    "PolylogVersionsDiffer", Info, "24h", "0.1.0",
        "count(count by (version) (polylog_build_info)) > 1",
        "processes of several versions have been running for a day",
        "Restart the pods with older sidecars when it suits";
    "PolylogTracesLost", Info, "30m", "0.1.0",
        r#"sum by (namespace) (rate(polylog_trace_spans_total{outcome=~"dropped|failed"}[10m])) > 0"#,
        "spans of traces are lost in {{ $labels.namespace }}",
        "Look at the collector and at OTEL_EXPORTER_OTLP_ENDPOINT";
}
