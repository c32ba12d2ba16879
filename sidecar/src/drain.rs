use tokio_util::sync::CancellationToken;

/// Whether the process is about to stop. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Drain(CancellationToken);

impl Drain {
    /// From now on new work is refused.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether new work is refused.
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns once new work is refused.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}
