//! HTTP and gRPC over logs in SQLite files.
#![allow(clippy::unwrap_used, reason = "tests")]

mod api;
mod support;

use std::path::Path;

fn new_home(folder: &Path) -> api::home::Home {
    api::home::Home::in_file(folder.join("ledger.db"))
}
