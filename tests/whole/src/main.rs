//! Tests of the whole system, as a user's programs would meet it: real processes, killed and restarted.
//!
//! They speak HTTP by a client of their own and share no code with what they test.

mod audit;
mod cluster;
mod kill;
mod memory;
mod subscriber;
mod writer;

use clap::Parser;
use polylog_whole_tests::{database, http, sidecar};

#[derive(Parser)]
enum Command {
    /// Kills the sidecar again and again under load, then checks everything that it acknowledged.
    Kill(kill::Args),
    /// Measures the sidecar's resident memory: idle, and under load with a stalled subscriber.
    Memory(memory::Args),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Kill(args) => kill::run(&args),
        Command::Memory(args) => memory::run(&args),
    }
}
