//! What a role is started with: arguments and manifests.

pub(crate) mod apart;
mod args;
mod databases;
mod declared;
mod manifests;
mod settings;

/// Annotation of a mounted EventStore with the number of its form.
pub const MANIFEST_FORMAT_ANNOTATION: &str = "polylog.dev/format";
/// The form that this version reads.
pub const MANIFEST_FORMAT: &str = "1";

pub(crate) use apart::load_apart;
pub use args::{DevArgs, InvalidPlacement, PlacementParser, SourcePlacement, Target};
pub use databases::{DatabaseConnection, DeclaredDatabase, ServerEngine, declared_database};
pub(crate) use databases::{mysql_table_prefix, mysql_tables};
pub use declared::{At, SourceAt, declared_sources};
pub(crate) use manifests::check;
pub use manifests::{ConfigError, Declared, load};
pub(crate) use settings::{desired_config, policy_document, read_defaults};
