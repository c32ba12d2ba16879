//! The `polylog` command.

mod args;
mod bench;
mod commands;
mod exit;
mod export;
mod import;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { connection, output, command } = Arguments::parse();
    let outcome = match command {
        Command::Completions { shell } => commands::completions::print(shell),
        Command::Validate(args) => commands::validate::run(&args, output),
        Command::Plan(args) => commands::plan::run(&args, output),
        command => run(command, &connection, output),
    };
    exit::code(outcome, output)
}

/// Commands that talk to a sidecar.
fn run(command: Command, connection: &args::Connection, output: output::Format) -> exit::Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let client = connection.client()?;
    runtime.block_on(async {
        let work = async {
            match command {
                Command::Append(args) => commands::append::run(&client, args, output).await,
                Command::Read(args) => commands::read::run(&client, args, output).await,
                Command::Tail(args) => commands::tail::run(&client, args, output).await,
                Command::Export(args) => export::run(&client, args).await,
                Command::Status => commands::status::run(&client, output).await,
                Command::Bench(args) => bench::run(&client, args, output).await,
                // it stops by itself when interrupted, and says how far it came
                Command::Import(_) | Command::Completions { .. } | Command::Validate(_) | Command::Plan(_) => Ok(()),
            }
        };
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(exit::Failure::Interrupted),
        }
    })
}
