/// What is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As in `# TYPE`: a counter's samples have `_total` behind it, an info's `_info`.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: Kind,
    /// Also the end of its name.
    pub unit: Option<Unit>,
    /// Names of its labels; none takes values without bound.
    pub labels: &'static [&'static str],
    /// The version that had it first.
    pub since: &'static str,
    /// What it says, in one sentence without a full stop.
    pub help: &'static str,
}

/// How a metric is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often what lay between two bounds.
    Histogram,
    /// Always 1; its labels are what it says.
    Info,
}

impl Kind {
    /// Its word in `# TYPE`.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

/// What a metric is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, as a decimal number.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// Its word in `# UNIT`.
    pub fn text(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        }
    }
}

impl Metric {
    /// The name of its samples, as queries have it; a histogram's have `_bucket`, `_sum` and `_count` behind it.
    pub fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

macro_rules! unit {
    () => {
        None
    };
    ($unit:ident) => {
        Some(Unit::$unit)
    };
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:ident $(in $unit:ident)?, [$($label:literal),*], $since:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub(crate) const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: unit!($($unit)?),
                labels: &[$($label),*],
                since: $since,
                help: $help,
            };
        )*
        /// All of them, in the order of the book.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    APPENDS = "polylog_appends", Counter, ["store", "outcome"], "0.1.0",
        "Appends by outcome: committed, repeated, checked, or the code of the refusal; what is refused before the queue (schema, access, limits) is only counted as a request";
    APPEND_SECONDS = "polylog_append_duration_seconds", Histogram in Seconds, ["store", "phase", "source"], "0.1.0",
        "Time of acknowledged appends, repeats and checks included; phase total: from the queue to the answer";
    OUTCOME_UNKNOWN = "polylog_outcome_unknown", Counter, ["store"], "0.1.0",
        "Appends that were sent to the source and not answered in time";
    QUEUE_COMMITS = "polylog_append_queue_commits", Gauge, ["store"], "0.1.0",
        "Commits that wait to be written; refused from 4,096 on";
    QUEUE_BYTES = "polylog_append_queue_bytes", Gauge in Bytes, ["store"], "0.1.0",
        "Memory of the commits that wait to be written; refused from 16 MiB on";
    BATCHES = "polylog_append_batches", Counter, ["store"], "0.1.0",
        "Batches that the source answered; each is one transaction";
    BATCH_EVENTS = "polylog_append_batch_events", Counter, ["store"], "0.1.0",
        "Events of these batches, those of refused commits included";
    BATCH_COMMITS = "polylog_append_batch_commits", Histogram, ["store", "source"], "0.1.0",
        "Commits of each batch that was sent to the source";
    SCHEMA_WARNINGS = "polylog_schema_warnings", Counter, ["store"], "0.1.0",
        "Events taken although their data breaks its schema (mode Warn)";
    POSITION = "polylog_position", Gauge, ["store"], "0.1.0",
        "End of the log, system events included";
    TERM = "polylog_term", Gauge, ["store"], "0.1.0",
        "Term of the primary that is obeyed";
    SOURCE_UP = "polylog_source_up", Gauge, ["store", "source"], "0.1.0",
        "1 where the source answers, asked when the metrics are read; 0 where it does not";
    SOURCE_PRIMARY = "polylog_source_primary", Gauge, ["store", "source"], "0.1.0",
        "1 where the source is the primary that is obeyed; only of stores with several sources";
    SOURCE_VOTES = "polylog_source_votes", Gauge, ["store", "source"], "0.1.0",
        "1 where the source counts in acks and elections, 0 where it only follows; only of stores with several sources";
    SOURCE_MAINTENANCE = "polylog_source_maintenance", Gauge, ["store", "source"], "0.1.0",
        "1 where somebody works on the source, as its manifest says: it raises no alert";
    SOURCE_OPERATIONS = "polylog_source_operations", Counter, ["store", "source", "operation", "code"], "0.1.0",
        "Operations on the source: ok, refused (its head stood against it), abandoned (nobody waited any longer), or the code of the failure";
    SOURCE_SECONDS = "polylog_source_operation_duration_seconds", Histogram in Seconds, ["store", "source", "operation"], "0.1.0",
        "Time of operations on the source, failures included";
    REPLICATION_LAG = "polylog_replication_lag_events", Gauge, ["store", "source"], "0.1.0",
        "Events that the primary has and the source has not, as seen last; only of stores with several sources";
    REPLICATION_LAG_SECONDS = "polylog_replication_lag_seconds", Gauge in Seconds, ["store", "source"], "0.1.0",
        "How long the source has lacked the first of these events; 0 where it lacks none";
    ALERT_LAG = "polylog_alert_lag_events", Gauge, ["store"], "0.1.0",
        "`spec.alerts.lag.events`: a source that is further behind is told to be slow; only where the manifest says it";
    ALERT_LAG_SECONDS = "polylog_alert_lag_seconds", Gauge in Seconds, ["store"], "0.1.0",
        "`spec.alerts.lag.time`: the same for how long it is behind";
    SOURCE_STALLED = "polylog_source_stalled_position", Gauge, ["store", "source"], "0.1.0",
        "The position that the source cannot store, and stands still at; 0 = none, or another process copies to it";
    CONSISTENCY = "polylog_consistency_ratio", Gauge, ["store", "source"], "0.1.0",
        "Share of what was read of the source that is what the log's chain says; only of the process that verifies it, as all of these";
    VERIFIED = "polylog_verified_ratio", Gauge, ["store", "source"], "0.1.0",
        "Share of the log that was read of the source since that process began to verify it";
    VERIFIED_AGE = "polylog_verified_age_seconds", Gauge in Seconds, ["store", "source"], "0.1.0",
        "How long ago the reading began that this rests on";
    INCONSISTENT = "polylog_inconsistent_events", Gauge, ["store", "source", "finding"], "0.1.0",
        "What is wrong and stays: missing (not there), differing (not what the chain says), extra (rows behind the log's end)";
    REPAIRED = "polylog_repaired_rows", Counter, ["store", "source"], "0.1.0",
        "Rows that were missing or damaged and were written back";
    TRUNCATIONS = "polylog_truncations", Gauge, ["store", "source"], "0.1.0",
        "Truncations of the source's log so far: each left entries in quarantine";
    QUARANTINED = "polylog_quarantined_events", Gauge, ["store", "source"], "0.1.0",
        "Events of callers that these left there, replayed or not; only of stores with several sources, and of the process that copies to them";
    SUBSCRIBERS = "polylog_subscribers", Gauge, ["store"], "0.1.0",
        "Open subscriptions";
    SUBSCRIBER_LAG = "polylog_subscriber_lag_events", Gauge, ["store"], "0.1.0",
        "Events between the slowest open subscription and the end of the log; 0 without one";
    HTTP_REQUESTS = "polylog_http_requests", Counter, ["operation", "status"], "0.1.0",
        "HTTP requests that were answered";
    HTTP_SECONDS = "polylog_http_request_duration_seconds", Histogram in Seconds, ["operation"], "0.1.0",
        "Time until the answer to an HTTP request begins; a stream goes on after that";
    GRPC_REQUESTS = "polylog_grpc_requests", Counter, ["operation", "code"], "0.1.0",
        "gRPC calls that were answered: ok, or the code of the refusal; what ends a stream later is not in it";
    GRPC_SECONDS = "polylog_grpc_request_duration_seconds", Histogram in Seconds, ["operation"], "0.1.0",
        "Time until the answer to a gRPC call begins; a stream goes on after that";
    CONFIGURATION_CHANGES = "polylog_configuration_changes", Counter, ["store", "outcome"], "0.1.0",
        "Changes of the mounted configuration by what became of them: taken, connection_replaced, or the code of what was in the way";
    CONFIGURATION_IN_FORCE = "polylog_configuration_in_force", Gauge, ["store"], "0.1.0",
        "1 where the mounted configuration is in force, 0 where an older one is";
    STORE_OPEN = "polylog_store_open", Gauge, ["store"], "0.1.0",
        "1 where a mounted store is open, 0 where it waits for its source";
    TRACE_SPANS = "polylog_trace_spans", Counter, ["outcome"], "0.1.0",
        "Spans of traces: exported, dropped (the queue was full), or failed (the collector did not take them)";
    BUILD = "polylog_build", Info, ["version"], "0.1.0",
        "The version of this process";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge in Bytes, [], "0.1.0",
        "Resident memory of this process";
    PROCESS_CPU = "process_cpu_seconds", Counter in Seconds, [], "0.1.0",
        "Processor time that this process has used";
    PROCESS_FILES = "process_open_fds", Gauge, [], "0.1.0",
        "Files and connections that this process holds open";
    PROCESS_MOST_FILES = "process_max_fds", Gauge, [], "0.1.0",
        "How many it may hold open";
    PROCESS_START = "process_start_time_seconds", Gauge in Seconds, [], "0.1.0",
        "When this process began to serve, in Unix time";
}
