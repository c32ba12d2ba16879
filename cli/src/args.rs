use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use polylog_api::parse_duration;
use polylog_client::{Address, Client, Consistency, Credentials, Filter, MaxLag, Timing};
use polylog_log::Timestamp;
use polylog_sidecar::config::DevArgs;

use crate::{
    bench::BenchArgs, commands, exit::Failure, export::ExportArgs, import::ImportArgs, inject::InjectArgs,
    output::Format,
};

/// One event log kept in several databases
#[derive(Debug, Parser)]
#[command(name = "polylog", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Form of what is printed; messages go to stderr
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the sidecar is.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Address of the sidecar
    #[arg(long, global = true, env = "POLYLOG_URL", default_value = "http://127.0.0.1:7300")]
    url: String,
    /// The store, where the sidecar serves several
    #[arg(long, global = true)]
    store: Option<String>,
    /// Certificates in PEM of who vouches for an https address; without it, the public authorities
    #[arg(long, global = true, env = "POLYLOG_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with the token of a service account, as a gateway demands it
    #[arg(long, global = true, env = "POLYLOG_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long to try [default: 5s; export, import and bench: 1m]
    #[arg(long, global = true, value_parser = parse_duration, value_name = "DURATION")]
    timeout: Option<Duration>,
}

impl Connection {
    /// A client of that store.
    pub(crate) fn client(&self, patience: Duration) -> Result<Client, Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let address = Address::parse(&self.url, self.store.as_deref()).map_err(|error| usage(&error))?;
        let timing = Timing { deadline: self.timeout.unwrap_or(patience), ..Timing::default() };
        let authorities = match &self.ca {
            None => None,
            Some(path) => Some(
                std::fs::read(path).map_err(|error| usage(&format!("--ca {}: {error}", path.display())))?,
            ),
        };
        let credentials = Credentials { authorities, token_file: self.token_file.clone() };
        Client::new(address, timing, credentials).map_err(|error| usage(&error))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run stores on this machine, from manifests: no cluster, no database
    Dev(DevArgs),
    #[command(flatten)]
    Online(Online),
    /// Check manifests
    Validate(commands::validate::ValidateArgs),
    /// Show what provisioning would do, as SQL
    Plan(commands::plan::PlanArgs),
    /// Print the SQL that gives the roles of each source the rights they need, and no more
    Grants(commands::grants::GrantsArgs),
    /// Look at the database of each source, and say what to change; writes nothing
    Check(commands::check::CheckArgs),
    /// Write the sidecar into manifests, as the operator's webhook does into pods
    Inject(InjectArgs),
    /// EventStores in a cluster: as `kubectl polylog`
    Kube(KubeArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Read by a parser of its own, with kubectl's options.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct KubeArgs {
    /// As for `kubectl polylog`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}

/// Commands that talk to a sidecar.
#[derive(Debug, Subcommand)]
pub(crate) enum Online {
    /// Append events to a stream
    Append(commands::append::AppendArgs),
    /// Read a stream, or the whole log
    Read(commands::read::ReadArgs),
    /// Follow the log
    Tail(commands::tail::TailArgs),
    /// Write the log as lines of JSON; the same command goes on where it was interrupted
    Export(ExportArgs),
    /// Append events from lines of JSON; the same command goes on where it was interrupted
    ///
    /// Lines are as `polylog export` writes them; `stream` and `type` are enough. Nothing is appended if a line of the
    /// file is wrong. Events keep their order within each stream; streams are appended side by side.
    Import(ImportArgs),
    /// Show stores and their sources
    Status,
    /// Read every source again and compare, and say what was found; exit 1 where something is wrong and stays
    Verify(commands::admin::VerifyArgs),
    /// Make another source primary; nothing is lost
    Switch(commands::admin::SwitchArgs),
    /// Open the log without sources that are stopped or cut off; what only they hold is lost to it
    Failover(commands::admin::FailoverArgs),
    /// Show what lost to another history; with -o ndjson an export of it
    Quarantine(commands::admin::QuarantineArgs),
    /// Measure appends
    Bench(BenchArgs),
}

impl Online {
    /// How long one call is tried, unless `--timeout` says it: what runs long would rather wait than give up.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Online::Export(_) | Online::Import(_) | Online::Bench(_) => Duration::from_secs(60),
            _ => Duration::from_secs(5),
        }
    }
}

/// Which events; shared by all commands that read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only events of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of types that begin so; may be repeated
    #[arg(long, value_name = "PREFIX")]
    type_prefix: Vec<String>,
    /// Only events of this category; may be repeated
    #[arg(long, value_name = "CATEGORY")]
    category: Vec<String>,
    /// Only events with this correlation id
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Only events for which this CEL expression holds
    #[arg(long, value_name = "CEL")]
    filter: Option<String>,
    /// The log's own events too
    #[arg(long)]
    include_system: bool,
}

impl FilterArgs {
    pub(crate) fn into_filter(self, since: Option<Timestamp>, until: Option<Timestamp>) -> Filter {
        Filter {
            types: self.types,
            type_prefixes: self.type_prefix,
            categories: self.category,
            correlation_id: self.correlation_id,
            since,
            until,
            expression: self.filter,
            include_system: self.include_system,
        }
    }
}

/// A file, or standard input or output as `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Standard,
    File(PathBuf),
}

impl From<std::ffi::OsString> for Place {
    fn from(text: std::ffi::OsString) -> Self {
        if text == "-" { Place::Standard } else { Place::File(text.into()) }
    }
}

/// Reads a time for clap.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Reads a consistency for clap.
pub(crate) fn consistency(text: &str) -> Result<Consistency, String> {
    match text {
        "strong" => Ok(Consistency::Strong),
        "session" => Ok(Consistency::Session),
        "eventual" => Ok(Consistency::Eventual),
        _ => Err("strong, session or eventual (bounded: give --max-lag)".to_owned()),
    }
}

/// Reads a lag for clap.
pub(crate) fn max_lag(text: &str) -> Result<MaxLag, String> {
    let events = text.parse().map(MaxLag::Events);
    events.or_else(|_| parse_duration(text).map(MaxLag::Time)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
