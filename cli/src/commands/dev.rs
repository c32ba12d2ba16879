use std::process::ExitCode;

use polylog_sidecar::{
    config::DevArgs,
    logging,
    roles::{self, Exit},
};

/// Serves stores until it is stopped. It handles signals itself, so that nothing that was taken is lost.
pub(crate) fn run(args: DevArgs) -> ExitCode {
    if let Err(error) = logging::start() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    match roles::block_on(roles::dev(args)) {
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
