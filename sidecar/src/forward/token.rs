use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;
use parking_lot::Mutex;

use crate::mounted;

/// The kubelet renews the file long before the token in it ends.
const EVERY: Duration = Duration::from_secs(10);

/// The pod's token, read again as it is renewed.
pub(super) struct TokenFile {
    path: PathBuf,
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    bearer: Bearer,
    read: Instant,
}

/// What a request brings.
#[derive(Clone)]
pub(super) struct Bearer {
    /// Never shown.
    pub(super) value: HeaderValue,
    /// When the token in it ends; `None` = it does not say.
    pub(super) ends: Option<SystemTime>,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::default() }
    }

    /// The token that is mounted now.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) async fn bearer(&self) -> Result<Bearer, String> {
        let held = self.held.lock().clone();
        if let Some(held) = held.filter(|held| held.read.elapsed() < EVERY) {
            return Ok(held.bearer);
        }
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = text.map_err(|error| format!("{} cannot be read: {error}", self.path.display()))?;
        let no_token = || format!("{} holds no token", self.path.display());
        let text = text.trim();
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| no_token())?;
        value.set_sensitive(true);
        let ends = mounted::expiry(text).map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        let bearer = Bearer { value, ends };
        *self.held.lock() = Some(Held { bearer: bearer.clone(), read: Instant::now() });
        Ok(bearer)
    }

    /// Reads the file for the next request.
    pub(super) fn forget(&self) {
        self.held.lock().take();
    }
}
