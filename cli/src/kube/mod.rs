//! `kubectl polylog …`: EventStores in a cluster.
//!
//! Everything goes through `kubectl`: whoever it logs in is who this is, whatever plugin or proxy that takes, and
//! `polylog dev` carries no Kubernetes client.

mod admin;
mod advice;
mod approve;
mod check;
mod gateway;
mod inject;
mod kubectl;
mod object;
mod output;
mod plan;
mod pods;
mod restart;
mod status;

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use futures::FutureExt;

use self::kubectl::Kubectl;
use crate::{commands::admin as commands, exit, output::Format};

/// EventStores in a cluster
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-polylog",
    bin_name = "kubectl polylog",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Arguments {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(subcommand)]
    command: Command,
}

/// Which cluster, and as whom: kubectl's own options, handed on to it.
#[derive(Debug, Clone, Default, Args)]
struct ClusterArgs {
    /// Namespace; that of the context if absent
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true)]
    context: Option<String>,
    /// The kubeconfig
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// Cluster of the kubeconfig
    #[arg(long, global = true)]
    cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, global = true)]
    user: Option<String>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    as_user: Option<String>,
    /// Group to impersonate; may be repeated
    #[arg(long, global = true, value_name = "GROUP")]
    as_group: Vec<String>,
    /// How long one request may take
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s")]
    request_timeout: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show EventStores, or one of them: conditions and what to do, sources, pods by their sidecar's version, the plan
    Status(status::StatusArgs),
    /// Show the plan that waits, with its statements
    Plan(plan::PlanArgs),
    /// Approve the plan that waits, by its hash
    Approve(approve::ApproveArgs),
    /// Write the sidecar into manifests, as the webhook does into pods
    Inject(inject::InjectArgs),
    /// Restart what runs an old sidecar, or none
    Restart(restart::RestartArgs),
    /// Look at the installation and say what to change; writes nothing
    Check(check::CheckArgs),
    /// Read every source again and compare, and say what was found; exit 1 where something is wrong and stays
    Verify(admin::Verify),
    /// Make another source primary; nothing is lost
    Switch(admin::Switch),
    /// Open the log without sources that are stopped or cut off; what only they hold is lost to it
    Failover(admin::Failover),
    /// Show what lost to another history; with -o ndjson an export of it
    Quarantine(admin::Quarantine),
}

/// The arguments behind the command, if it was called as kubectl calls a plugin (`kubectl-polylog`), or as `polylog kube`.
pub(crate) fn called(mut arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let program = arguments.next()?;
    if Path::new(&program).file_stem().is_some_and(|name| name == "kubectl-polylog") {
        return Some(arguments.collect());
    }
    (arguments.next()? == "kube").then(|| arguments.collect())
}

/// Does what the arguments say.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let program = OsString::from("kubectl-polylog");
    let Arguments { cluster, command } = Arguments::parse_from([program].into_iter().chain(arguments));
    let kubectl = Kubectl::new(&cluster);
    let outcome =
        match command {
            Command::Verify(args) => {
                return told(args.run(&kubectl, |client, args, format| {
                    commands::verify(client, args, format).boxed_local()
                }));
            }
            Command::Switch(args) => {
                return told(args.run(&kubectl, |client, args, format| {
                    commands::switch(client, args, format).boxed_local()
                }));
            }
            Command::Failover(args) => {
                return told(args.run(&kubectl, |client, args, format| {
                    commands::failover(client, args, format).boxed_local()
                }));
            }
            Command::Quarantine(args) => {
                return told(args.run(&kubectl, |client, args, format| {
                    commands::quarantine(client, args, format).boxed_local()
                }));
            }
            Command::Status(args) => status::run(&kubectl, &args),
            Command::Plan(args) => plan::run(&kubectl, &args),
            Command::Approve(args) => approve::run(&kubectl, &args),
            Command::Inject(args) => inject::run(&kubectl, args),
            Command::Restart(args) => restart::run(&kubectl, &args),
            Command::Check(args) => check::run(&kubectl, &args),
        };
    exit::code(outcome, Format::Table)
}

fn told((outcome, format): (exit::Outcome, Format)) -> ExitCode {
    exit::code(outcome, format)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_name_or_the_first_argument_says_that_a_cluster_is_meant() {
        let called = |words: &[&str]| called(words.iter().map(OsString::from));
        let status = Some(vec![OsString::from("status")]);
        assert_eq!(called(&["/usr/local/bin/kubectl-polylog", "status"]), status);
        assert_eq!(called(&["kubectl-polylog.exe", "status"]), status);
        assert_eq!(called(&["polylog", "kube", "status"]), status);
        assert_eq!(called(&["polylog", "status"]), None);
        assert_eq!(called(&["polylog", "append", "kube"]), None);
        assert_eq!(called(&["polylog"]), None);
    }
}
