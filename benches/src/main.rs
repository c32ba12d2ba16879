//! Benchmarks: Polylog side by side with the raw engine and with others that do the same, in one run.
//!
//! Absolute figures of a shared machine mean little. Every figure here is a ratio of windows that follow each other: the
//! sidecar takes events, then the very rows it wrote are inserted raw, in transactions as large as its own were on
//! average, then the others take events of the same size.

mod load;
mod observed;
mod peers;
mod process;
mod read;
mod replicated;
mod sqlite;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sqlite: sqlite::Args,
}

#[derive(Subcommand)]
enum Command {
    /// On a private PostgreSQL: over gRPC and HTTP, against raw inserts, message-db and UmaDB
    Peers(peers::Args),
    /// One log over PostgreSQL, MariaDB and PostgreSQL: failover, latency, lag, catching up
    Replicated(replicated::Args),
}

fn main() -> anyhow::Result<()> {
    let Cli { command, sqlite } = Cli::parse();
    match command {
        Some(Command::Peers(args)) => peers::run(&args),
        Some(Command::Replicated(args)) => replicated::run(&args),
        None => sqlite::run(&sqlite),
    }
}
