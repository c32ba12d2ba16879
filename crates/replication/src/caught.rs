use std::{future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;
use polylog_log::Failure;

/// Awaits a source's operation; a panic in it becomes a failure, so that nobody waits for an answer that never comes.
///
/// What the operation did before it panicked is unknown.
pub(crate) async fn caught<T>(operation: impl Future<Output = T>) -> Result<T, Failure> {
    AssertUnwindSafe(operation).catch_unwind().await.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(event = "operation_panicked", panic = %text, "a source's operation panicked");
        Failure::Damaged(format!("an operation panicked: {text}"))
    })
}
