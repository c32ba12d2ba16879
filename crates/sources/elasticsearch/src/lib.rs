//! Elasticsearch and OpenSearch as a source: a set of indices, which several processes may use at once.
//!
//! The head is one document that holds the batch in flight: one conditional write of it decides and records an operation
//! at once. Then the batch is *written out*, a document per event, by whoever comes along, under the revision of the head
//! that it was read from: the server refuses a document of a lower revision than the one that is there. Up to the head's
//! `base` all is written out, and only there are event documents facts.
//!
//! A read alone may tell what a server believes that lost its cluster, or that is not on its disk yet: what a batch is
//! written out from, shown by or refused upon is a head that an acknowledged write has confirmed.
//!
//! Nothing that decides rests on a search: documents are read by their ids, which sees what was written a moment ago.
//! Searches of the log are answered by the server's own query language (`index`), as far as it says what reading would.

mod append;
mod apply;
mod cluster;
mod config;
mod connection;
mod digest;
mod document;
mod election;
mod error;
mod events;
mod facts;
mod faults;
mod head;
mod history;
mod index;
mod lease;
mod mutants;
mod operation;
mod page;
mod preflight;
pub mod provision;
mod quarantine;
mod queryable;
mod read;
mod refresh;
mod requests;
mod schema;
mod select;
mod source;
mod standing;
mod swap;
mod terms;
mod wait;
mod write_out;

pub use cluster::Cluster;
pub use config::{Address, ConfigError, Credentials, ElasticsearchConfig, Indices, Secret, TlsUse};
pub use faults::POINTS;
#[cfg(feature = "mutants")]
pub use mutants::{Mutant, OldPrimary, SlowWriter, repeat_next_swap, switch};
pub use preflight::preflight;
pub use schema::{Layout, Payload};
pub use source::ElasticsearchSource;
