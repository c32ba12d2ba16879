//! MariaDB databases that must not be used, or not now.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bad_on_server;
mod support;

use polylog_test_bed::MariadbServer;
use support::{
    mounted::store,
    process::{at, folder, refused},
    server::LogServer,
};

bad_on_server::tests!(MariadbServer);

/// What the server says of itself is all that is known of it: this one only says so.
#[test]
fn a_start_on_an_old_server_or_on_mysql_writes_nothing() {
    for (version, words) in [("10.6.18-MariaDB", "10.11 or newer"), ("8.0.40", "MySQL 8 is not tested")] {
        let server = MariadbServer::with(&[("version", version)]);
        let place = server.new_place();
        let source = at(&server.admin_url(&place));
        refused(folder(&store(&server, &place)).path(), &source, 1, &["source_refused", words, version]);
        let there = format!("SHOW DATABASES LIKE '{}'", place.database);
        assert_eq!(server.execute("mysql", &there), "");
    }
}
