//! What a role is started with: arguments and manifests.

mod apart;
mod args;
mod manifests;
mod settings;

pub(crate) use apart::load_apart;
pub use args::{DevArgs, InvalidPlacement, SourcePlacement};
pub use manifests::{ConfigError, Declared, load};
pub(crate) use settings::{desired_config, policy_document, read_defaults};
