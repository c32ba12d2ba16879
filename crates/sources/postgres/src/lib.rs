//! PostgreSQL as a source: one schema, which several processes may use at once.
//!
//! An append is one statement where this process alone writes: it compares and swaps the head, whose chain covers the
//! whole history, and so proves what was remembered. Everything else is decided by [`polylog_log::Head::admit`] on what
//! was read under the lock of the head's row.

mod append;
mod apply;
mod checks;
mod config;
mod connection;
mod digest;
mod election;
mod error;
mod facts;
mod head;
mod history;
mod lease;
mod limits;
#[cfg(feature = "mutants")]
#[doc(hidden)]
pub mod mutants;
mod operation;
mod page;
mod preflight;
pub mod provision;
mod quarantine;
mod read;
mod repair;
mod rows;
mod schema;
mod search;
mod settings;
mod source;
mod stalled;
mod strip;
mod swap;
mod wait;

use polylog_source_servers::{faults, memory, outcome, pool};

pub use config::{Address, ConfigError, PostgresConfig, SchemaName, Secret, TlsUse};
pub use faults::POINTS;
pub use limits::connection_limit;
pub use preflight::preflight;
pub use source::PostgresSource;
