//! MariaDB as a source: one database of a server, which several processes may use at once.
//!
//! An append is one packet where this process alone writes: it compares and swaps the head, whose chain covers the whole
//! history, and so proves what was remembered. Everything else is decided by [`polylog_log::Head::admit`] on what was
//! read under the lock of the head's row.

mod append;
mod apply;
mod catalog;
mod checks;
mod config;
mod connection;
mod dialect;
mod digest;
mod election;
mod error;
mod facts;
mod head;
mod history;
mod insert;
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
mod records;
mod repair;
mod rows;
mod schema;
mod script;
mod search;
mod source;
mod strip;
mod swap;
mod tables;
mod text;
mod wait;

pub use config::{Address, ConfigError, DatabaseName, MariadbConfig, Secret, TlsUse};
pub use limits::connection_limit;
pub use polylog_source_servers::faults::POINTS;
pub use preflight::preflight;
pub use source::MariadbSource;
pub use tables::{TablePrefix, Tables};
