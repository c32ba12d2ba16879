//! What a database server must do to be measured: keep a sidecar's store, and take the same rows raw.

mod mariadb;
mod postgres;
mod raw_mariadb;
mod raw_postgres;

use anyhow::Result;

pub use self::{mariadb::Mariadb, postgres::Postgres};
use crate::load::Measured;

/// Rows of one page of a raw read.
const PAGE: i64 = 1_000;

/// A private server.
pub trait Server {
    /// What it is, with its version.
    fn name(&self) -> String;
    /// The address of a database, for `polylog dev --source ledger=…`.
    fn address(&self, database: &str) -> String;
    /// A new, empty database.
    fn create(&self, database: &str);
    /// A new database with the content of one that nobody uses now, and with its raw table.
    fn copy(&self, from: &str, to: &str);
    /// Writes everything to its place, so that this does not fall into a window.
    fn settle(&self) -> Result<()>;
    /// kill -9.
    fn crash(&self);
    /// Starts it on the data that it left; returns when it answers.
    fn start_again(&self);
    /// Its first process, the parent of the others.
    fn pid(&self) -> Result<u32>;
    /// Copies the log that a sidecar wrote into a table of the same kind, with the same indexes, in its order.
    fn prepare_raw(&self, database: &str);
    fn raw(&self, database: &str) -> Result<Box<dyn Raw>>;
}

/// The raw side: a table as the sidecar's, and a connection.
pub trait Raw {
    /// Inserts the rows that the sidecar wrote since the last call, `batch` of them in a transaction.
    fn catch_up(&mut self, batch: usize) -> Result<Measured>;
    /// Reads the sidecar's whole table in pages; gives rows and seconds.
    fn read(&mut self) -> Result<(u64, f64)>;
}
