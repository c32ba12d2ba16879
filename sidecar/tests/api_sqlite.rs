//! HTTP and gRPC over logs in SQLite files.
#![allow(clippy::unwrap_used, reason = "tests")]

mod api;
mod support;

use std::path::Path;

use api::home::Home;

fn new_home(folder: &Path) -> Home {
    Home::in_file(folder.join("ledger.db"))
}
