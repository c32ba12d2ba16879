use std::process::{Command, exit};

use anyhow::{Context, Result};

use crate::database::Engine;

#[derive(clap::Args)]
pub struct Args {
    /// What keeps the log.
    engine: Engine,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs a command while there is a server for it; its address is in `POLYLOG_TEST_DATABASE`.
pub fn run(args: &Args) -> Result<()> {
    let server = args.engine.start();
    let (program, arguments) = args.command.split_first().context("a command")?;
    let mut command = Command::new(program);
    command.args(arguments).env_remove("POLYLOG_TEST_DATABASE");
    if let Some(server) = &server {
        command.env("POLYLOG_TEST_DATABASE", server.url());
    }
    let status = command.status().with_context(|| program.clone())?;
    drop(server);
    exit(status.code().unwrap_or(1))
}
