//! The sidecar: servers, interceptors and roles.

pub mod admin;
mod drain;
pub mod files;
mod filter;
mod hosted;
pub mod http;
pub mod identity;
mod json;
pub mod metrics;
mod openapi;
mod pipeline;
pub mod policy;
mod running;
mod server;
#[cfg(test)]
mod test_events;

pub use drain::Drain;
pub use hosted::{DeclaredSource, Hosted};
pub use running::Running;
pub use server::Server;
