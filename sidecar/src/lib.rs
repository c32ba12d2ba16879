//! The sidecar: servers, interceptors and roles.

pub mod identity;
mod json;
pub mod policy;
