use std::sync::Arc;

use async_trait::async_trait;
use polylog_log::{Identity, Source};

/// A provisioned, empty database of any engine.
#[async_trait]
pub trait Place: Send + Sync {
    /// What it holds.
    fn identity(&self) -> Identity;

    /// Another handle to it.
    async fn open(&self) -> Arc<dyn Source>;

    /// How a child process finds it.
    fn locator(&self) -> String;
}
