//! The sidecar: servers, interceptors and roles.

mod filter;
pub mod http;
pub mod identity;
mod json;
mod pipeline;
pub mod policy;
#[cfg(test)]
mod test_events;
