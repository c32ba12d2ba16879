use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT. From then on a second one ends the process at once.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// What a shell shows for a process that was interrupted.
const INTERRUPTED: i32 = 130;

impl Signals {
    /// Takes over both signals.
    pub(super) fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns at the first signal.
    pub(super) async fn first(&mut self) {
        self.next().await;
    }

    /// Ends the process at the next signal.
    pub(super) async fn exit_at_next(&mut self) {
        self.next().await;
        process::exit(INTERRUPTED);
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
