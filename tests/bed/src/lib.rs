//! Private database servers for tests, and what the tests of several engines do alike. Servers: each in a folder of its own, on a free port of loopback, ended when the test
//! process ends, however it ends.
//!
//! Everything here panics with the reason when a server cannot be had: a test without its server has failed.

pub mod acts;
mod kubernetes;
mod machine;
mod mariadb;
pub mod payloads;
mod place;
mod postgres;
pub mod processes;
mod supervisor;

pub use kubernetes::{Kubernetes, Outage, Tier};
pub use mariadb::MariadbServer;
pub use place::Place;
pub use postgres::PostgresServer;
