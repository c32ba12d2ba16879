//! `polylog-operator`: one process per Kubernetes cluster, or per list of namespaces.

use std::process::ExitCode;

use clap::Parser;
use polylog_operator::OperatorArgs;
use polylog_sidecar::logging;

fn main() -> ExitCode {
    let arguments = OperatorArgs::parse();
    if let Err(error) = logging::start() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(polylog_operator::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
