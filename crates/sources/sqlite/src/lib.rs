//! SQLite as a source: one file, which several processes may use at once.
//!
//! Correctness rests on SQLite's own locks: every operation that writes is one transaction between `BEGIN IMMEDIATE`
//! and `COMMIT`, decided by [`polylog_log::Head::admit`] on what was read inside it. Only stream heads are kept between
//! two, for the very tail that they were left at.

mod append;
mod apply;
mod clock;
mod config;
mod connection;
mod digest;
mod election;
mod error;
mod faults;
mod file;
mod head;
mod lease;
#[cfg(feature = "mutants")]
mod mutants;
mod operation;
pub mod provision;
mod read;
mod readers;
mod repair;
mod rows;
mod schema;
mod search;
mod source;
mod stream_heads;
mod strip;
mod wait;
mod worker;
mod writer;

pub use config::SqliteConfig;
pub use faults::POINTS;
pub use source::SqliteSource;
