//! The sidecar: servers, interceptors and roles.
#![expect(
    clippy::result_large_err,
    reason = "a problem is made once per refused request; a box would cost more than the copy"
)]

pub mod admin;
pub mod config;
mod drain;
pub mod files;
mod filter;
mod hosted;
pub mod http;
pub mod identity;
mod json;
pub mod logging;
pub mod metrics;
pub mod openapi;
mod pipeline;
pub mod policy;
pub mod roles;
mod running;
mod server;
#[cfg(test)]
mod test_events;

pub use drain::Drain;
pub use hosted::{DeclaredSource, Hosted};
pub use running::Running;
pub use server::Server;
