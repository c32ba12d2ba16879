//! What tests of the sidecar share: processes, servers, clients, and what they are expected to say.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub mod answers;
pub mod client;
pub mod forged;
pub mod mounted;
pub mod process;
pub mod remote;
pub mod replicas;
pub mod routing;
pub mod searching;
pub mod server;
pub mod three_engines;
pub mod tokens;
pub mod way;
pub mod writers;

pub use client::Client;
pub use remote::Remote;
