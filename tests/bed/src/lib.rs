//! Private database servers and Kubernetes clusters for tests, and what the tests of several engines do alike.
//!
//! A server has a folder of its own and a free port of loopback; it ends when the test process ends, however it ends.
//!
//! Everything here panics with the reason when a server cannot be had: a test without its server has failed.

pub mod acts;
mod authority;
pub mod crashes;
mod disk;
mod elasticsearch;
mod kubernetes;
mod machine;
mod mariadb;
mod mongodb;
mod older;
pub mod payloads;
mod place;
mod postgres;
pub mod processes;
mod server;
mod supervisor;

pub use authority::Authority;
pub use elasticsearch::{ElasticsearchServer, Product};
pub use kubernetes::{Kubernetes, Outage, Tier};
pub use mariadb::MariadbServer;
pub use mongodb::{Keeps, MongodbServer};
pub use older::OlderPostgres;
pub use place::Place;
pub use postgres::PostgresServer;
pub use server::Server;
