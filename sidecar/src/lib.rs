//! The sidecar: servers, interceptors and roles.

pub mod admin;
pub mod catalogue;
pub mod config;
mod configuration;
mod drain;
mod entrance;
mod filter;
mod forward;
mod grpc;
mod hosted;
pub mod http;
pub mod identity;
mod json;
pub mod logging;
pub mod metrics;
mod mounted;
pub mod openapi;
mod operations;
mod pipeline;
pub mod policy;
pub mod roles;
mod running;
mod server;
pub mod sources;
#[cfg(test)]
mod test_events;
mod traces;

pub use drain::Drain;
pub use hosted::{DeclaredSource, Hosted, ReadDefaults};
pub use running::Running;
pub use server::Server;
pub use traces::InvalidTraces;
