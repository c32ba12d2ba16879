//! The roles `sidecar` and `gateway` on real PostgreSQL servers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod mounted_on_server;
mod support;

use polylog_test_bed::PostgresServer;

mounted_on_server::tests!(PostgresServer);
