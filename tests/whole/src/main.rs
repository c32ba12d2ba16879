//! Tests of the whole system, as a user's programs would meet it: real processes, killed and restarted.
//!
//! They speak HTTP by a client of their own and share no code with what they test.

mod audit;
mod cluster;
mod faults;
mod history;
mod kill;
mod load;
mod memory;
mod scale;
mod steady;
mod stop;
mod subscriber;
mod with_server;
mod writer;

use clap::Parser;
use polylog_whole_tests::{database, http, pod, sidecar, status};

#[derive(Parser)]
enum Command {
    /// Kills the sidecar again and again under load, then checks everything that it acknowledged.
    Kill(kill::Args),
    /// Stops one of two sidecars in the middle of its appends, and measures how long it holds up the other.
    Stop(stop::Args),
    /// Records what clients in four processes do through two sidecars, and checks that it is linearizable.
    History(history::Args),
    /// Breaks sources and sidecars of one log over several databases again and again under load, then checks everything.
    Faults(faults::Args),
    /// One of the processes of `history`.
    #[command(hide = true)]
    HistoryClients(history::ProcessArgs),
    /// Runs a command while there is a database server for it.
    WithServer(with_server::Args),
    /// Measures the sidecar's resident memory: idle, and under load with a stalled subscriber.
    Memory(memory::Args),
    /// An application in a pod that appends and reads for ever, and tells each request that fails.
    Steady(steady::Args),
    /// Measures the operator with many EventStores and pods.
    Scale(scale::Args),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Kill(args) => kill::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::History(args) => history::run(&args),
        Command::Faults(args) => faults::run(&args),
        Command::HistoryClients(args) => history::run_clients(&args),
        Command::WithServer(args) => with_server::run(&args),
        Command::Memory(args) => memory::run(&args),
        Command::Steady(args) => steady::run(&args),
        Command::Scale(args) => scale::run(&args),
    }
}
