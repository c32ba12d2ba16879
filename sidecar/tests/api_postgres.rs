//! HTTP and gRPC over logs in a real PostgreSQL server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod api;
mod support;

use std::{path::Path, sync::LazyLock};

use polylog_test_bed::PostgresServer;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

fn new_home(_: &Path) -> api::home::Home {
    api::home::Home::on(&*SERVER)
}
