//! What a role is started with: arguments and manifests.

pub(crate) mod apart;
mod args;
mod connection;
mod databases;
mod declared;
mod indices;
mod manifests;
mod settings;

/// Annotation of a mounted EventStore with the number of its form.
pub const MANIFEST_FORMAT_ANNOTATION: &str = "polylog.dev/format";
/// The form that this version writes; it reads older ones too.
pub const MANIFEST_FORMAT: &str = if polylog_log::IS_RAISED { "2" } else { "1" };

pub(crate) use apart::load_apart;
pub use args::{DevArgs, InvalidPlacement, PlacementParser, SourcePlacement, Target};
pub use connection::{DatabaseConnection, GATEWAY_POOL, SIDECAR_POOL, most_connections};
pub(crate) use databases::mysql_tables;
pub use databases::{DeclaredDatabase, declared_database};
pub use declared::{At, SourceAt, declared_sources};
pub use indices::DeclaredIndices;
pub(crate) use manifests::check;
pub use manifests::{ConfigError, Declared, load};
pub(crate) use settings::{
    desired_config, followers, opens_minority, policy_document, primary_wish, read_defaults, verification,
};
