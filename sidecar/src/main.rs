//! `polylog-sidecar`: one binary, one role per process.

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use polylog_sidecar::{
    config::DevArgs,
    logging, openapi,
    roles::{self, ClusterArgs, Exit, GatewayArgs},
};

/// Serves event stores on localhost
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Everything in one process, over SQLite files or databases: no cluster
    Dev(DevArgs),
    /// Beside an application in its pod, from what is mounted there
    Sidecar(ClusterArgs),
    /// One Deployment per EventStore: opens its log, and writes $config and $policy
    Gateway(GatewayArgs),
    /// Prints the description of the HTTP interface
    Openapi,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = logging::start() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    match arguments.role {
        Role::Dev(args) => ended(roles::block_on(roles::dev(args))),
        Role::Openapi => {
            match std::io::stdout().lock().write_all(openapi::text().as_bytes()) {
                // whoever reads it has seen enough
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    eprintln!("error: {error}");
                    ExitCode::FAILURE
                }
                _ => ExitCode::SUCCESS,
            }
        }
        Role::Sidecar(args) => ended(roles::block_on(roles::sidecar(args))),
        Role::Gateway(args) => ended(roles::block_on(roles::gateway(args))),
    }
}

fn ended<E: std::fmt::Display + Exit>(outcome: std::io::Result<Result<(), E>>) -> ExitCode {
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
