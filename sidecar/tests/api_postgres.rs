//! HTTP and gRPC over logs in a real PostgreSQL server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod api;
mod support;

use std::{path::Path, sync::LazyLock};

use api::home::Home;
use polylog_test_bed::PostgresServer;
use support::server::Place;
use uuid::Uuid;

static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);

/// A schema and not a database: a hundred of those are most of what the disk would have to do. Over the socket, where a
/// connection does not cost a derived key.
fn new_home(_: &Path) -> Home {
    let schema = format!("log_{}", Uuid::new_v4().simple());
    let place = Place { database: "postgres".into(), schema, prefix: "" };
    Home::on(&*SERVER, place, &SERVER.socket_url("postgres"))
}
