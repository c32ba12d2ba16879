//! The roles `sidecar` and `gateway` on real MariaDB servers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod mounted_on_server;
mod support;

use polylog_test_bed::MariadbServer;

mounted_on_server::tests!(MariadbServer);
