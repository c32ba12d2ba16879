//! A sidecar process and an HTTP client to reach it with: what the whole-system tests and the benchmarks share.

pub mod http;
pub mod sidecar;
