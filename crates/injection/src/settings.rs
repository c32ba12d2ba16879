/// What an installation decides for all of its sidecars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The image; its entry point is `polylog-sidecar`.
    pub image: String,
    /// When it is pulled (`Always`, `IfNotPresent`, `Never`); Kubernetes decides if absent.
    pub pull_policy: Option<String>,
}

impl Settings {
    /// The version of the sidecars that are injected: this one's.
    pub const VERSION: &str = env!("CARGO_PKG_VERSION");
    /// The image of this version.
    pub const IMAGE: &str = concat!("ghcr.io/polylog-dev/polylog-sidecar:", env!("CARGO_PKG_VERSION"));
}

impl Default for Settings {
    fn default() -> Self {
        Self { image: Self::IMAGE.to_owned(), pull_policy: None }
    }
}
