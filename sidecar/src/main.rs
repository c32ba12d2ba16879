//! `polylog-sidecar`: one binary, one role per process.

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use polylog_sidecar::{
    config::DevArgs,
    logging, openapi,
    roles::{self, ClusterRole, Exit},
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
    /// Beside an application in its pod (not in this version)
    Sidecar,
    /// One Deployment per EventStore (not in this version)
    Gateway,
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
        Role::Dev(args) => match roles::block_on(roles::dev(args)) {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(error)) => failed(&error),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
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
        Role::Sidecar => {
            ClusterRole::Sidecar.run().map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
        }
        Role::Gateway => {
            ClusterRole::Gateway.run().map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
        }
    }
}

fn failed(error: &(impl std::fmt::Display + Exit)) -> ExitCode {
    eprintln!("error: {error}");
    error.exit_code()
}
