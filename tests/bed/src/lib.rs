//! Private database servers for tests: each in a folder of its own, on a free port of loopback, ended when the test
//! process ends, however it ends.
//!
//! Everything here panics with the reason when a server cannot be had: a test without its server has failed.

mod postgres;
mod supervisor;

pub use postgres::PostgresServer;
