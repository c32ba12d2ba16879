//! MongoDB, and servers of its protocol that have atomic updates of one document and unique ids, as a source: one
//! database, which several processes may use at once.
//!
//! The head is one document that holds the batch in flight: one update of it, conditional on its revision, decides and
//! records an operation at once. Then the batch is *written out*, a document per event, by whoever comes along, under the
//! revision of the head that it was read from; a document of a lower revision gives way. Up to the head's `base` all is
//! written out, and only there are event documents facts. Transactions and change streams are not needed.

mod append;
mod apply;
mod config;
mod connection;
mod digest;
mod durability;
mod election;
mod error;
mod events;
mod facts;
mod faults;
mod fields;
mod head;
mod held;
mod history;
mod lease;
mod mutants;
mod operation;
mod page;
mod preflight;
pub mod provision;
mod quarantine;
mod queryable;
mod read;
mod repair;
mod schema;
mod source;
mod strip;
mod swap;
mod wait;
mod write_out;

pub use config::{Address, CollectionPrefix, ConfigError, DatabaseName, MongodbConfig, Secret, TlsUse};
pub use faults::POINTS;
#[cfg(feature = "mutants")]
pub use mutants::{Mutant, SlowWriter, switch};
pub use preflight::preflight;
pub use source::MongodbSource;
