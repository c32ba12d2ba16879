//! What a process can be.

mod banner;
mod cluster;
mod dev;
mod signals;

use std::process::ExitCode;

pub use cluster::{ClusterArgs, ClusterError, ClusterRole, GatewayArgs, gateway, sidecar};
pub use dev::{DevError, run as dev};

/// Runs a role on a runtime of its own: two worker threads at most, because a sidecar must stay small beside its
/// application, and a core less than there are, because the thread that writes to a database needs one. Measured with
/// SQLite, 128 callers and two cores: 25 % more events a second with one worker than with two.
pub fn block_on<T>(role: impl Future<Output = T>) -> std::io::Result<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.saturating_sub(1).clamp(1, 2))
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
