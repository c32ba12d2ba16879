//! HTTP and gRPC over logs in a real MariaDB server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod api;
mod support;

use std::{path::Path, sync::LazyLock};

use api::home::Home;
use polylog_test_bed::MariadbServer;
use support::server::LogServer;

static SERVER: LazyLock<MariadbServer> = LazyLock::new(MariadbServer::start);

fn new_home(_: &Path) -> Home {
    let place = SERVER.new_place();
    let address = SERVER.admin_url(&place);
    Home::on(&*SERVER, place, &address)
}
