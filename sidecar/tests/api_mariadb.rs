//! HTTP and gRPC over logs in a real MariaDB server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod api;
mod support;

use std::{path::Path, sync::LazyLock};

use polylog_test_bed::MariadbServer;

static SERVER: LazyLock<MariadbServer> = LazyLock::new(MariadbServer::start);

fn new_home(_: &Path) -> api::home::Home {
    api::home::Home::on(&*SERVER)
}
