/// A line in the log that operators may rely on: its word stands in the field `event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEvent {
    /// The value of the field `event`.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// The version that had it first.
    pub since: &'static str,
    /// Its other fields, but those of every line.
    pub fields: &'static [&'static str],
    /// What happened.
    pub meaning: &'static str,
    /// What whoever reads it should do.
    pub action: &'static str,
}

/// How bad it is. What is only for developers (debug, trace) is not in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something is lost or out of order until somebody acts.
    Error,
    /// It may pass by itself; look if it comes often.
    Warn,
    /// The course of things.
    Info,
}

impl Level {
    /// Its name in `tracing`, in lower case.
    pub fn text(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
        }
    }
}

macro_rules! log_events {
    ($($name:literal, $level:ident, [$($field:literal),*], $since:literal, $meaning:literal, $action:literal;)*) => {
        /// All of them, by name.
        pub const LOG_EVENTS: &[LogEvent] = &[$(LogEvent {
            name: $name,
            level: Level::$level,
            since: $since,
            fields: &[$($field),*],
            meaning: $meaning,
            action: $action,
        }),*];
    };
}

log_events! {
    "accept_failed", Warn, ["error"], "0.1.0",
        "The system gave no connection to a client that knocked, often for want of file descriptors",
        "Compare `process_open_fds` with `process_max_fds`";
    "append_failed", Warn, ["error"], "0.1.0",
        "The source did not answer a batch with success; it is sent again, unchanged, as long as somebody waits",
        "Look at the source if it comes often; its callers get the code";
    "append_unanswered", Warn, [], "0.1.0",
        "The process stopped before everything that it had taken was answered",
        "Nothing: its callers retry by id";
    "config_written", Info, ["store", "version"], "0.1.0",
        "The log has a new `$config`", "Nothing";
    "election_step_unknown", Warn, ["failure"], "0.1.0",
        "The source did not answer while a term was promised or opened; it is asked again",
        "Look at the source if it comes often";
    "folder_not_synced", Warn, ["error", "folder"], "0.1.0",
        "A new SQLite file is there, but the folder's entry may be lost with the power",
        "Use another file system";
    "history_changed", Warn, ["store", "position"], "0.1.0",
        "The end of the log is not what this process had seen: the database was restored from an older copy",
        "Subscribers are told `history_forked`; see that what they derived is made anew";
    "no_primary", Warn, ["error"], "0.1.0",
        "No source can be appended to at the moment; it is tried again",
        "Look at the source: its callers get the code";
    "operation_panicked", Error, ["panic"], "0.1.0",
        "A defect in an engine; the operation counts as failed",
        "Report it";
    "policy_not_in_force", Error, ["store", "error"], "0.1.0",
        "The log holds a `$policy` that this version cannot read; the one before stays in force",
        "Update this process, or write a policy that it knows";
    "policy_written", Info, ["store", "version"], "0.1.0",
        "The log has a new `$policy`", "Nothing";
    "read_cut_off", Warn, ["problem"], "0.1.0",
        "A streamed read failed after its answer had begun; the client sees that it ends early",
        "Look at the source if it comes often";
    "request_failed", Error, ["operation", "detail"], "0.1.0",
        "A request was answered with `internal`: a damaged source, or a defect",
        "`detail` says which: verify or restore the source, or report it";
    "schema_warning", Warn, ["store", "event_type", "pointer", "keyword"], "0.1.0",
        "An event was taken although its data breaks its schema (mode `Warn`)",
        "Correct the sender or the schema";
    "stopping", Info, [], "0.1.0",
        "The process was asked to stop: new work is refused, what was taken is finished", "Nothing";
    "tail_unreadable", Warn, ["store", "error"], "0.1.0",
        "The end of the log cannot be read for subscribers; it is tried again",
        "Look at the source if it comes often";
    "temporary_folder_stays", Warn, ["error", "folder"], "0.1.0",
        "`--ephemeral` could not remove its folder", "Remove it";
    "term_opening", Info, ["term", "tail"], "0.1.0",
        "This process makes the source the primary of a term", "Nothing";
    "term_promising", Info, ["term"], "0.1.0",
        "This process asks the source for a new term", "Nothing";
    "traces_exported_again", Info, [], "0.1.0",
        "The collector of traces takes spans again", "Nothing";
    "traces_failing", Warn, ["error"], "0.1.0",
        "The collector of traces does not take spans; they are lost, appends are not touched",
        "Look at the collector and at `OTEL_EXPORTER_OTLP_ENDPOINT`";
    "traces_off", Error, ["error"], "0.1.0",
        "What `OTEL_EXPORTER_OTLP_…` says cannot be used; everything else goes on without traces",
        "Correct the variable that `error` names, and start again";
    "watcher_missing", Warn, ["error"], "0.1.0",
        "No thread could be started that sees other processes' commits at once; they are seen up to a second later",
        "Look at the limits of the process";
}
