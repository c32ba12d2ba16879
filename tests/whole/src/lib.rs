//! A sidecar process, what is mounted into its pod, the database server under it, and an HTTP client to reach it with: what the whole-system tests and
//! the benchmarks share.

pub mod database;
pub mod http;
pub mod pod;
pub mod sidecar;
pub mod status;
