//! The `polylog` command.

mod args;
mod bench;
mod commands;
mod exit;
mod export;
mod import;
mod inject;
mod kube;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use futures::{FutureExt, future::LocalBoxFuture};

use crate::args::{Arguments, Command, Online};

fn main() -> ExitCode {
    if let Some(arguments) = kube::called(std::env::args_os()) {
        return kube::run(arguments);
    }
    let Arguments { connection, output, command } = Arguments::parse();
    let outcome = match command {
        Command::Completions { shell } => commands::completions::print(shell),
        Command::Dev(args) => return commands::dev::run(args),
        Command::Validate(args) => commands::validate::run(&args, output),
        Command::Plan(args) => commands::plan::run(&args, output),
        Command::Grants(args) => commands::grants::run(&args, output),
        Command::Check(args) => commands::check::run(&args, output),
        Command::Inject(args) => inject::run(args, output),
        // only where an option stands before it
        Command::Kube(args) => return kube::run(args.arguments),
        Command::Online(command) => online(command, &connection, output),
    };
    exit::code(outcome, output)
}

/// Commands that talk to a sidecar.
fn online(command: Online, connection: &args::Connection, output: output::Format) -> exit::Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let client = connection.client(command.patience())?;
    let outcome = runtime.block_on(async {
        let client = &client;
        let work: LocalBoxFuture<'_, exit::Outcome> = match command {
            // it stops by itself when interrupted, and says how far it came
            Online::Import(args) => return import::run(client, args, output).await,
            Online::Append(args) => commands::append::run(client, args, output).boxed_local(),
            Online::Read(args) => commands::read::run(client, args, output).boxed_local(),
            Online::Tail(args) => commands::tail::run(client, args, output).boxed_local(),
            Online::Export(args) => export::run(client, args).boxed_local(),
            Online::Status => commands::status::run(client, output).boxed_local(),
            Online::Verify(args) => commands::admin::verify(client, args, output).boxed_local(),
            Online::Switch(args) => commands::admin::switch(client, args, output).boxed_local(),
            Online::Failover(args) => commands::admin::failover(client, args, output).boxed_local(),
            Online::Quarantine(args) => commands::admin::quarantine(client, args, output).boxed_local(),
            Online::Bench(args) => bench::run(client, args, output).boxed_local(),
        };
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Err(exit::Failure::Interrupted),
        }
    });
    // a read of standard input that nobody waits for any more must not hold the process
    runtime.shutdown_background();
    outcome
}
