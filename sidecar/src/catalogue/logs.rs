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
    "configuration_mounted", Info, ["store"], "0.1.0",
        "A new mounted configuration of a store was seen and is being taken over", "Nothing";
    "configuration_refused", Error, ["store", "code", "reason"], "0.1.0",
        "A new mounted configuration cannot be served; the old one stays in force",
        "Correct what `reason` names";
    "configuration_waited_for", Error, ["code", "reason"], "0.1.0",
        "A process that begins finds no configuration that it can serve, and waits for one",
        "Correct what `reason` names";
    "connection_replaced", Info, ["store", "source"], "0.1.0",
        "New sessions with the database use the connection that is mounted now", "Nothing";
    "connection_unusable", Error, ["store", "code", "reason"], "0.1.0",
        "The mounted connection does not work; sessions that are open go on",
        "Correct the Secret, or the database";
    "connections_left", Warn, [], "0.1.0",
        "The process stopped before every session with a database was closed", "Nothing: the database closes them";
    "duties_given_up", Info, ["store"], "0.1.0",
        "A sidecar no longer elects and copies to sources that fell behind: a gateway is back, or another sidecar does", "Nothing";
    "duties_taken", Warn, ["store"], "0.1.0",
        "No gateway showed itself for 30 s: this sidecar elects, and copies to sources that fell behind",
        "Look why the store's gateway does not run";
    "election_step_unknown", Warn, ["failure"], "0.1.0",
        "The source did not answer while a term was promised or opened; it is asked again",
        "Look at the source if it comes often";
    "entrance_changed", Info, ["store", "certificate", "keys"], "0.1.0",
        "New connections of other pods meet the certificate, and their tokens the keys, that are mounted now", "Nothing";
    "entrance_refused", Error, ["store", "code", "reason"], "0.1.0",
        "A certificate, or keys of the cluster, that are mounted cannot be used; the old ones stay",
        "Correct what `reason` names";
    "entrance_unready", Warn, ["error"], "0.1.0",
        "The operator could not read the cluster's published keys, or its authority for gateways; it is tried again, and what it knew stays",
        "Look at its right to get `/.well-known/openid-configuration` and `/openid/v1/jwks`, and at the Secret that `error` names";
    "folder_not_synced", Warn, ["error", "folder"], "0.1.0",
        "A new SQLite file is there, but the folder's entry may be lost with the power",
        "Use another file system";
    "gateway_authority_changed", Info, ["secret"], "0.1.0",
        "Who vouches for the certificates of gateways has changed, or will", "Nothing: sidecars follow; pods that use stores of other namespaces must be made anew within a day of the last of two such lines";
    "gateway_certificate_failed", Warn, ["store", "error"], "0.1.0",
        "A gateway could not be given a certificate, so that no other pod comes in to it; it is tried again",
        "Look at the operator's right to create Secrets in the store's namespace";
    "gateway_certificate_made", Info, ["store", "not_after"], "0.1.0",
        "A gateway has a new certificate, and is replaced by one that shows it", "Nothing";
    "gateway_unusable", Error, ["store", "reason"], "0.1.0",
        "A store of another namespace cannot be reached by this pod: what it was told of the store's gateway when it was made does not do",
        "Apply that store, and make the pod anew";
    "history_changed", Warn, ["store", "position"], "0.1.0",
        "The end of the log is not what this process had seen: the database was restored from an older copy",
        "Subscribers are told `history_forked`; see that what they derived is made anew";
    "leading", Info, ["number", "lease"], "0.1.0",
        "This process of the operator reconciles from now on", "Nothing";
    "leading_ended", Info, ["number"], "0.1.0",
        "This process of the operator reconciles no longer: it was told to stop, or could not renew its Lease", "Nothing: another one takes over";
    "lease_unreachable", Warn, ["error", "lease"], "0.1.0",
        "The operator's Lease cannot be read or renewed; it is tried again, and nothing is reconciled meanwhile if it lasts",
        "Look at the API server, and at the operator's rights";
    "log_level_stays", Warn, ["error"], "0.1.0",
        "The log level that a manifest asks for could not be set", "Set `POLYLOG_LOG`";
    "log_not_as_mounted", Warn, ["store", "code", "reason"], "0.1.0",
        "Policy or strategy in the log is not what is mounted, and could not be written; it is tried again",
        "Look at `reason` if it comes often";
    "log_place_unwritten", Warn, ["file", "error"], "0.1.0",
        "How far the log came is not written down beside the store: a restored older copy would not be noticed at the next start",
        "Look at the folder's disk and rights";
    "manifest_warning", Warn, ["store"], "0.1.0",
        "The mounted manifests ask for something that has no effect here", "Read the message";
    "namespace_claimed", Info, ["namespace"], "0.1.0",
        "This installation of the operator looks after a namespace from now on", "Nothing";
    "namespace_taken", Warn, ["namespace", "holder"], "0.1.0",
        "Another installation of the operator looks after a namespace; this one leaves it alone",
        "Change `watchNamespaces` of one; if the other is gone, delete the Lease `polylog-installation` there";
    "no_primary", Warn, ["error"], "0.1.0",
        "No source can be appended to at the moment; it is tried again",
        "Look at the source: its callers get the code";
    "obstacle_gone", Info, ["store"], "0.1.0",
        "What stood in the way of a mounted configuration is gone", "Nothing";
    "operation_panicked", Error, ["panic"], "0.1.0",
        "A defect in an engine; the operation counts as failed",
        "Report it";
    "operator_started", Info, ["health_port"], "0.1.0",
        "The operator runs; it may have to wait until it leads", "Nothing";
    "plan_applied", Info, ["store", "steps"], "0.1.0",
        "Steps of a plan were carried out in a database", "Nothing";
    "plan_waits", Info, ["store", "plan"], "0.1.0",
        "Steps of a plan wait for an approval", "Look at the plan, and approve it by its hash";
    "policy_not_in_force", Error, ["store", "error"], "0.1.0",
        "The log holds a `$policy` that this version cannot read; the one before stays in force",
        "Update this process, or write a policy that it knows";
    "policy_unreadable", Error, ["store", "reason"], "0.1.0",
        "The log's policy cannot be read; the configuration before stays in force", "Look at the source, or update this process";
    "policy_written", Info, ["store", "version"], "0.1.0",
        "The log has a new `$policy`", "Nothing";
    "primary_obeyed", Info, ["store", "term", "primary", "tail"], "0.1.0",
        "A source of a log with several leads a term: appends go there from now on",
        "If it is another than before, look at what happened to that one";
    "quarantine_replayed", Warn, ["store", "source", "replayed", "present", "kept"], "0.1.0",
        "So many commits of a tail that lost were appended again, were in the log already, or stay in quarantine because their streams went on without them",
        "Look into quarantine if `kept` is not 0";
    "read_cut_off", Warn, ["problem"], "0.1.0",
        "A streamed read failed after its answer had begun; the client sees that it ends early",
        "Look at the source if it comes often";
    "reconcile_failed", Warn, ["store", "error"], "0.1.0",
        "An EventStore could not be brought to what it says; it is tried again",
        "Look at its conditions if it comes often";
    "reconciles_left", Warn, [], "0.1.0",
        "The operator stopped before everything that it was doing had ended", "Nothing: the next leader completes it";
    "request_failed", Error, ["operation", "detail"], "0.1.0",
        "A request was answered with `internal`: a damaged source, or a defect",
        "`detail` says which: verify or restore the source, or report it";
    "restart_needed", Warn, ["store", "code", "reason"], "0.1.0",
        "A part of the mounted configuration needs a new process (ports, for example)", "Restart it when it suits";
    "schema_warning", Warn, ["store", "event_type", "pointer", "keyword"], "0.1.0",
        "An event was taken although its data breaks its schema (mode `Warn`)",
        "Correct the sender or the schema";
    "serving", Info, ["role", "port", "pods_port", "health_port"], "0.1.0",
        "The ports are open", "Nothing";
    "silent_sessions_ended", Warn, ["ended"], "0.1.0",
        "Sessions of the same role held the log's lock, and fell silent in the middle of a statement; they were ended",
        "Look for stopped or cut off sidecars if it comes often";
    "source_failing", Warn, ["store", "source", "error"], "0.1.0",
        "A source of a log with several stopped doing its work; the others go on, and it is asked again and again",
        "Look at the database, and at the network between";
    "source_goes_on", Info, ["store", "source"], "0.1.0",
        "A source stores again what it could not, and is filled with what came after it", "Nothing";
    "source_inconsistent", Error, ["store", "source", "position", "count", "finding"], "0.1.0",
        "Verification found what nobody could write back: missing, damaged (no other source has it whole), diverged (another event or history stands there), extra (rows behind the log's end)",
        "The page on verification says what to do; told once as long as it stays";
    "source_not_open", Warn, ["source", "error"], "0.1.0",
        "A source of a log with several cannot be used when the process begins; it is tried again once a second",
        "Look at the database, and at its connection";
    "source_open", Info, ["store", "source"], "0.1.0",
        "A source that did not answer, or was not mounted, when its store was opened is reached now", "Nothing";
    "source_repaired", Warn, ["store", "source", "from", "missing", "damaged"], "0.1.0",
        "Verification wrote rows back that were missing or damaged",
        "Look at the database's disk, and at who can write to it";
    "source_stalled", Warn, ["store", "source", "position", "reason"], "0.1.0",
        "A source cannot store the commit at `position`, and nothing after it is copied there; it is tried again once a second",
        "Do what `reason` asks for in that database: raise a limit, drop a constraint";
    "source_went_back", Error, ["store", "source"], "0.1.0",
        "A source of a log with several shows less than was seen of it: a backup was put back, or writes were lost. It does not vote or acknowledge any more, and nothing is written to it",
        "Put the newer database back, or have it replaced: the page on several databases says how";
    "sources_changed", Info, ["store", "sources", "voters"], "0.1.0",
        "Other sources are mounted for a store than before; the log's members follow one by one", "Nothing";
    "status_unwritten", Warn, ["error"], "0.1.0",
        "The status of a ReplicationStrategy or Projection could not be written; it is tried again",
        "Look at the operator's rights if it comes often";
    "stopping", Info, [], "0.1.0",
        "The process was asked to stop: new work is refused, what was taken is finished", "Nothing";
    "store_forwarded", Info, ["store", "gateway"], "0.1.0",
        "Requests to a store go on to its gateway: it has `delivery: Gateway`", "Nothing";
    "store_not_served", Error, ["place", "reason"], "0.1.0",
        "What is mounted for a store cannot be read, so it is not served", "Correct what `reason` names";
    "store_not_wiped", Warn, ["store"], "0.1.0",
        "A deleted EventStore with `deletionPolicy: Delete` was let go by annotation; its tables stay",
        "Drop them if nobody needs them";
    "store_opened", Info, ["store", "source", "log"], "0.1.0",
        "A mounted store is open", "Nothing";
    "store_removed", Info, ["store"], "0.1.0",
        "A store is no longer mounted: new work is refused, what was taken is finished", "Nothing";
    "store_wiped", Info, ["store", "tables"], "0.1.0",
        "A deleted EventStore with `deletionPolicy: Delete` was drained, and its tables were dropped", "Nothing";
    "tail_unreadable", Warn, ["store", "error"], "0.1.0",
        "The end of the log cannot be read for subscribers; it is tried again",
        "Look at the source if it comes often";
    "temporary_folder_stays", Warn, ["error", "folder"], "0.1.0",
        "`--ephemeral` could not remove its folder", "Remove it";
    "term_opening", Info, ["term", "tail"], "0.1.0",
        "This process makes the source the primary of a term", "Nothing";
    "term_promising", Info, ["term"], "0.1.0",
        "This process asks the source for a new term", "Nothing";
    "token_unreadable", Warn, ["error"], "0.1.0",
        "The token of the pod's service account cannot be read; the caller that was known stays",
        "Look at the projected volume";
    "traces_exported_again", Info, [], "0.1.0",
        "The collector of traces takes spans again", "Nothing";
    "traces_failing", Warn, ["error"], "0.1.0",
        "The collector of traces does not take spans; they are lost, appends are not touched",
        "Look at the collector and at `OTEL_EXPORTER_OTLP_ENDPOINT`";
    "traces_off", Error, ["error"], "0.1.0",
        "What `OTEL_EXPORTER_OTLP_…` says cannot be used; everything else goes on without traces",
        "Correct the variable that `error` names, and start again";
    "unsafe_durability", Warn, ["store", "source", "setting"], "0.1.0",
        "The database does not keep what it acknowledged when the power fails, and `--unsafe-durability` allows that",
        "Only for test servers";
    "watcher_missing", Warn, ["error"], "0.1.0",
        "No thread could be started that sees other processes' commits at once; they are seen up to a second later",
        "Look at the limits of the process";
    "webhook_certificate_failed", Warn, ["error"], "0.1.0",
        "The operator could not look after the webhook's certificates; it is tried again, and what is there is shown as long as it is valid",
        "Look at the operator's rights, and at the Secret and the MutatingWebhookConfiguration that `error` names";
    "webhook_certificate_renewed", Info, ["not_after"], "0.1.0",
        "The webhook's certificates have changed", "Nothing";
    "webhook_started", Info, ["port"], "0.1.0",
        "The webhook's port is open", "Nothing";
    "wipe_waits", Info, ["store", "wait"], "0.1.0",
        "A deleted EventStore with `deletionPolicy: Delete` is not wiped yet, or waits for something else now",
        "Its conditions say for what";
}
