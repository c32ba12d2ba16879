use std::process::ExitCode;

use super::Exit;

/// A role that a process has in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterRole {
    /// Beside an application, in its pod.
    Sidecar,
    /// One Deployment per EventStore.
    Gateway,
}

/// Asked for a role of a later version. Use `dev`, or a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the role {} is not in this version: it needs sources that several processes share; use `dev` on one machine",
    match .0 { ClusterRole::Sidecar => "sidecar", ClusterRole::Gateway => "gateway" }
)]
pub struct NotInThisVersion(pub ClusterRole);

impl ClusterRole {
    /// Starts the role.
    pub fn run(self) -> Result<(), NotInThisVersion> {
        Err(NotInThisVersion(self))
    }
}

impl Exit for NotInThisVersion {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(1)
    }
}
