//! PostgreSQL databases that must not be used, or not now.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bad_on_server;
mod support;

use bad_on_server::{Served, servers::BadServer};
use polylog_test_bed::{OlderPostgres, PostgresServer};
use support::{
    process::{at, folder, refused},
    server::{LogServer, Place},
};
use tonic::Code as Status;

bad_on_server::tests!(PostgresServer);

#[tokio::test]
async fn another_encoding() {
    let served = Served::new(&*SERVER).await;
    let place = &served.place;
    let latin = Place { database: format!("{}_latin", place.database), ..place.clone() };
    SERVER.execute("postgres", &of_latin(&latin.database));
    let kept = SERVER.replace(place, &latin, &served.user);
    served.refuses("encoding", "source_refused", 503, Status::FailedPrecondition, "LATIN1").await;
    SERVER.put_back(place, &kept);
    served.recovers("encoding").await;
}

#[test]
fn a_start_on_another_encoding_writes_nothing() {
    SERVER.execute("postgres", &of_latin("start_latin"));
    let source = at(&SERVER.url("start_latin"));
    let words = ["source_refused", "LATIN1", "ENCODING 'UTF8'"];
    refused(folder(support::mounted::STORE).path(), &source, 1, &words);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'payments'";
    assert_eq!(SERVER.execute("start_latin", schemas), "0");
}

/// A server that is replaced by an older one, and one that is too old from the start: nothing is written to it.
#[tokio::test]
async fn a_server_that_is_too_old() {
    let older = OlderPostgres::way_to(&SERVER);
    let words = "PostgreSQL 15 or newer is needed, this is 14.";
    let place = SERVER.new_place();
    let source = at(&older.url(&SERVER.admin_url(&place)));
    refused(folder(support::mounted::STORE).path(), &source, 1, &["source_refused", words]);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'payments'";
    assert_eq!(SERVER.execute(&place.database, schemas), "0");

    older.passes(false);
    let served = Served::by(&*SERVER, |url| older.url(&url)).await;
    older.passes(true);
    SERVER.end_sessions(&served.place);
    served.refuses("version", "source_refused", 503, Status::FailedPrecondition, words).await;
    older.passes(false);
    served.recovers("version").await;
}

fn of_latin(database: &str) -> String {
    format!("CREATE DATABASE {database} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
}
