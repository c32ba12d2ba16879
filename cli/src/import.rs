mod args;
mod batch;
mod file;
mod from;
mod line;
mod run;
mod send;

pub(crate) use args::ImportArgs;

use polylog_client::Client;

use crate::{exit::Outcome, output::Format};

/// Imports, and prints what was imported.
pub(crate) async fn run(client: &Client, args: ImportArgs, format: Format) -> Outcome {
    match args.from.from {
        Some(engine) => from::run(client, engine, args, format).await,
        None => run::run(client, args, format).await,
    }
}
