//! What a process can be.

mod banner;
mod cluster;
mod dev;
mod signals;

use std::process::ExitCode;

pub use cluster::{ClusterRole, NotInThisVersion};
pub use dev::{DevError, run as dev};

/// Runs a role on a runtime of its own: two worker threads, whatever the number of cores, because a sidecar must stay
/// small beside its application.
pub fn block_on<T>(role: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(role);
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    Ok(outcome)
}

/// What a process ends with: 1 refused or failed, 2 a mistake in arguments or manifests, 3 unreachable.
pub trait Exit {
    /// The code.
    fn exit_code(&self) -> ExitCode;
}
