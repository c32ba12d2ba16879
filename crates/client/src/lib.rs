//! A client of Polylog's HTTP interface that retries by id.
//!
//! Every event gets its id before the first try, so a try whose answer was lost is sent again with the same ids and
//! gives the one and only result. Reads and subscriptions go on where they were cut off.

mod address;
mod admin;
mod append;
mod attempts;
mod backoff;
mod client;
mod credentials;
mod error;
mod lines;
mod query;
mod read;
mod sse;
mod stores;
mod subscription;

pub use address::{Address, AddressError};
pub use admin::{Led, QuarantinePage};
pub use append::AppendOptions;
pub use client::{Client, Timing};
pub use credentials::{Credentials, CredentialsError};
pub use error::ClientError;
pub use lines::EventLine;
pub use query::{Consistency, Filter, MaxLag, ReadOptions};
pub use read::Lines;
pub use subscription::{Received, Start, SubscribeOptions, Subscription};
