//! The sidecar: servers, interceptors and roles
